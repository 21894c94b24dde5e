// What a person chose for this browser. Kept in localStorage; told to every part that shows it.

import { useSyncExternalStore } from "react";

export interface Prefs {
  theme: "light" | "dark" | "system";
  utc: boolean;
  density: "comfortable" | "compact";
  view: "grid" | "list";
}

const DEFAULTS: Prefs = { theme: "system", utc: false, density: "comfortable", view: "grid" };
const listeners = new Set<() => void>();
let prefs = read();

function read(): Prefs {
  try {
    const theme = localStorage.getItem("theme");
    const rest = JSON.parse(localStorage.getItem("prefs") ?? "{}") as Partial<Prefs>;
    return { ...DEFAULTS, ...rest, theme: theme === "light" || theme === "dark" ? theme : "system" };
  } catch {
    return DEFAULTS;
  }
}

export function apply(): void {
  const dark = prefs.theme === "dark" || (prefs.theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.documentElement.dataset.density = prefs.density;
}

export function choose(change: Partial<Prefs>): void {
  prefs = { ...prefs, ...change };
  const { theme, ...rest } = prefs;
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
    localStorage.setItem("prefs", JSON.stringify(rest));
  } catch {
    // private windows keep nothing: it holds until this one is closed
  }
  apply();
  for (const listener of listeners) listener();
}

export function usePrefs(): Prefs {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => prefs,
  );
}

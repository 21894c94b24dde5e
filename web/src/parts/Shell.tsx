// The frame around every page: places, whether it is live, what lies over it.

import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { type ComponentType, useEffect, useRef, useState } from "react";
import { queries } from "../api";
import { clock } from "../format";
import { live, useLiveState } from "../live";
import { choose, usePrefs } from "../prefs";
import { renew, useOverview, useSession } from "../queries";
import { Tray } from "../upload/Tray";
import { words } from "../words";
import { amid, Button } from "./basic";
import { Dialog, Toasts } from "./overlay";
import { SignIn } from "./SignIn";

const LATER_MS = 1_000;

/** Loaded when it is wanted, or a little after the page. Not by React's lazy(), which shows what it waited for 300 ms after it began
 * to wait, however soon that is there. */
function usePalette(wanted: boolean): ComponentType<{ close: () => void }> | null {
  const [found, setFound] = useState<{ part: ComponentType<{ close: () => void }> } | null>(null);
  useEffect(() => {
    if (found) return undefined;
    const load = () => void import("./Palette").then((module) => setFound({ part: module.default })).catch(() => undefined);
    const timer = setTimeout(load, wanted ? 0 : LATER_MS);
    return () => clearTimeout(timer);
  }, [found, wanted]);
  return found?.part ?? null;
}

export const PLACES = [
  ["/", "overview", "o"],
  ["/videos", "videos", "v"],
  ["/search", "search", "s"],
  ["/jobs", "jobs", "j"],
  ["/fleet", "fleet", "f"],
  ["/alerts", "alerts", "a"],
  ["/settings", "settings", ""],
] as const;

const typing = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));

export function Shell() {
  const session = useSession();
  const [palette, setPalette] = useState(false);
  const Palette = usePalette(palette);
  const [sheet, setSheet] = useState(false);
  const navigate = useNavigate();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  const waits = useRef(0);

  useEffect(() => {
    if (before.current !== path) {
      before.current = path;
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }, [path]);

  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPalette(true);
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      if (event.key === "?") setSheet(true);
      else if (event.key === "g") waits.current = Date.now();
      else if (event.key === "/") {
        const field = document.querySelector<HTMLInputElement>("main [data-find]");
        if (field) {
          event.preventDefault();
          field.focus();
        }
      } else if (Date.now() - waits.current < 1_000) {
        const place = PLACES.find(([, , key]) => key === event.key);
        waits.current = 0;
        if (place) void navigate({ to: place[0] });
      }
    };
    document.addEventListener("keydown", keys);
    return () => document.removeEventListener("keydown", keys);
  }, [navigate]);

  if (session.data === null) return <SignIn />;
  return (
    <div className="shell">
      <a className="skip" href="#main">
        {words.shell.skip}
      </a>
      <Rail openPalette={() => setPalette(true)} signedIn={session.data?.open === false} />
      <main id="main" ref={main} tabIndex={-1}>
        <Stale />
        <Outlet />
      </main>
      <Tray />
      <Toasts />
      {palette && Palette && <Palette close={() => setPalette(false)} />}
      {sheet && (
        <Dialog title={words.shell.shortcuts} close={() => setSheet(false)}>
          <table className="sheet">
            <tbody>
              {words.shortcuts.map(([key, text]) => (
                <tr key={key}>
                  <th scope="row">
                    <kbd className="mono">{key}</kbd>
                  </th>
                  <td>{text}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <div className="row end">
            <Button onClick={() => setSheet(false)}>{words.common.close}</Button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

function Rail({ openPalette, signedIn }: { openPalette: () => void; signedIn: boolean }) {
  const state = useLiveState();
  const { theme } = usePrefs();
  const path = useRouterState({ select: (at) => at.location.pathname });
  const places = useRef<HTMLUListElement>(null);
  const open = useOverview().data?.alerts_open ?? 0; // the stream renews it
  useEffect(() => amid(places.current), [path, open]); // the number at Alerts moves what comes after it
  const dark = document.documentElement.dataset.theme === "dark";
  const signOut = async () => {
    await fetch("/v1/session", { method: "DELETE" });
    queries.clear();
    location.reload();
  };
  return (
    <header className="rail">
      <Link to="/" className="brand">
        <img src="/icon.svg" alt="" />
        {words.product}
      </Link>
      <nav aria-label={words.shell.places}>
        <ul className="plain" ref={places}>
          {PLACES.map(([to, name]) => (
            <li key={to}>
              <Link to={to} activeOptions={{ exact: to === "/", includeSearch: false }}>
                {words.pages[name]}
                {name === "alerts" && open > 0 && (
                  <span className="count" aria-label={words.overview.alerts(open)}>
                    {open}
                  </span>
                )}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="foot" data-theme-choice={theme}>
        <span className="live" role="status">
          <span aria-hidden="true">{state === "live" ? "●" : "○"}</span>
          {state === "live" ? words.shell.live : state === "lost" ? words.shell.lost : words.shell.connecting}
        </span>
        <Button small className="wide-only" onClick={openPalette}>
          {words.shell.commands} <kbd className="mono">Ctrl K</kbd>
        </Button>
        <Button small onClick={() => choose({ theme: dark ? "light" : "dark" })}>
          {dark ? words.shell.light : words.shell.dark}
        </Button>
        {signedIn && (
          <Button small onClick={() => void signOut()}>
            {words.shell.signOut}
          </Button>
        )}
      </div>
    </header>
  );
}

function Stale() {
  const state = useLiveState();
  const { utc } = usePrefs();
  if (state !== "lost") return null;
  return (
    <div className="notice" role="alert">
      <span>{words.shell.stale(clock(live.sinceMs, utc))}</span>
      <div className="row">
        <Button onClick={() => void renew()}>{words.shell.reload}</Button>
      </div>
    </div>
  );
}

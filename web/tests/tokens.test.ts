// Contrast of the colours, from the file itself: text 4.5:1 (WCAG 1.4.3), marks and edges 3:1 (1.4.11). axe does not see the latter.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync("src/tokens.css", "utf8");

function tokens(theme: string): Record<string, string> {
  const block = css.slice(css.indexOf(`[data-theme="${theme}"]`));
  return Object.fromEntries([...block.slice(0, block.indexOf("}")).matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name, hex]) => [name, hex]));
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(one: string, other: string): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

describe.each(["light", "dark"])("%s", (theme) => {
  const now = tokens(theme);
  const colour = (name: string) => now[name] ?? "";

  it.each(["ink", "ink-2", "ink-3", "accent", "ok", "warn", "bad"])("text in %s can be read on every ground", (ink) => {
    for (const ground of ["paper", "card", "sunk"]) expect(contrast(colour(ink), colour(ground)), ground).toBeGreaterThanOrEqual(4.5);
  });

  it("text can be read on washes and buttons", () => {
    expect(contrast(colour("bad"), colour("bad-wash"))).toBeGreaterThanOrEqual(4.5);
    expect(contrast(colour("warn"), colour("warn-wash"))).toBeGreaterThanOrEqual(4.5);
    expect(contrast(colour("ink"), colour("bad-wash"))).toBeGreaterThanOrEqual(4.5);
    expect(contrast(colour("ink"), colour("hit"))).toBeGreaterThanOrEqual(4.5);
    expect(contrast(colour("accent-ink"), colour("accent"))).toBeGreaterThanOrEqual(4.5);
    expect(contrast(colour("paper"), colour("ink"))).toBeGreaterThanOrEqual(4.5);
  });

  it.each(["probe", "transcode", "frames", "join", "describe", "index"])("%s stands out on its strip", (stage) => {
    expect(contrast(colour(`stage-${stage}`), colour("sunk"))).toBeGreaterThanOrEqual(3);
    expect(contrast(colour(`stage-${stage}`), colour("card")), "its name inside it").toBeGreaterThanOrEqual(4.5);
  });

  it("edges of fields stand out", () => {
    for (const ground of ["paper", "card"]) expect(contrast(colour("edge"), colour(ground))).toBeGreaterThanOrEqual(3);
  });
});

it("the measure is the standard's", () => {
  expect(contrast("#000000", "#ffffff")).toBeCloseTo(21);
  expect(contrast("#777777", "#ffffff")).toBeCloseTo(4.48, 2);
});

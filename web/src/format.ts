// Numbers, sizes and times as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function bytes(size: number): string {
  let at = 0;
  let value = size;
  while (value >= 999.5 && at < UNITS.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[at]}`;
}

export const whole = (value: number): string => Math.round(value).toLocaleString("en");

export const percent = (fraction: number): string => `${Math.round(fraction * 100)}%`;

/** `4 s`, `12 min`, `2.1 h`, `3 d` */
export function age(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 59.5) return `${Math.round(s)} s`;
  if (s < 3570) return `${Math.round(s / 60)} min`;
  if (s < 86_400) return `${(s / 3600).toFixed(1)} h`;
  return `${Math.round(s / 86_400)} d`;
}

/** A moment of a video: `0:07`, `1:02:09` */
export function timeCode(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  return minutes < 60 ? `${minutes}:${two(s % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}

/** `13:02`, on a clock of 24 hours. */
export function minute(at: number, utc: boolean): string {
  return new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(utc ? { timeZone: "UTC" } : {}) }).format(at);
}

export function clock(at: string | number | Date, utc: boolean, timeStyle: "medium" | "short" = "medium"): string {
  return new Intl.DateTimeFormat("en-GB", {
    dateStyle: "medium",
    timeStyle,
    ...(utc ? { timeZone: "UTC" } : {}),
  }).format(new Date(at)) + (utc ? " UTC" : "");
}

/** `[star]` marks of a snippet as pieces; what is marked is never read as markup. */
export function marked(snippet: string): { text: string; hit: boolean }[] {
  const pieces: { text: string; hit: boolean }[] = [];
  let rest = snippet;
  while (rest) {
    const open = rest.indexOf("[");
    const close = open < 0 ? -1 : rest.indexOf("]", open);
    if (open < 0 || close < 0) {
      pieces.push({ text: rest, hit: false });
      break;
    }
    if (open > 0) pieces.push({ text: rest.slice(0, open), hit: false });
    pieces.push({ text: rest.slice(open + 1, close), hit: true });
    rest = rest.slice(close + 1);
  }
  return pieces;
}

// The small parts that every page is made of.

import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Link } from "@tanstack/react-router";
import { age, clock } from "../format";
import { usePrefs } from "../prefs";
import { problemOf } from "../api";
import { linkOf } from "../query";
import { words } from "../words";

type ButtonProps = React.ButtonHTMLAttributes<HTMLButtonElement> & { look?: "main" | "danger" | "quiet"; small?: boolean };

export function Button({ look, small, className, ...rest }: ButtonProps) {
  const names = ["button", look, small ? "small" : "", className].filter(Boolean).join(" ");
  return <button type="button" className={names} {...rest} />;
}

export function Card({ title, aside, children, label }: { title?: ReactNode; aside?: ReactNode; children: ReactNode; label?: string }) {
  const id = useId();
  return (
    <section className="card" aria-labelledby={title ? id : undefined} aria-label={title ? undefined : label}>
      {title && (
        <div className="row spread">
          <h2 id={id}>{title}</h2>
          {aside}
        </div>
      )}
      {children}
    </section>
  );
}

export function PageHead({ title, text, children }: { title: ReactNode; text?: ReactNode; children?: ReactNode }) {
  return (
    <div className="head">
      {typeof title === "string" && <title>{`${title.replace(/\.$/, "")} · ${words.product}`}</title>}
      <div>
        <h1>{title}</h1>
        {text && <p>{text}</p>}
      </div>
      {children && <div className="row">{children}</div>}
    </div>
  );
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: ReactNode }) {
  return (
    <label className="field">
      <span>{label}</span>
      {children}
      {hint && <small>{hint}</small>}
    </label>
  );
}

export function Select<T extends string>({
  value,
  options,
  onChange,
  label,
}: {
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
  label?: string;
}) {
  return (
    <select className="input" value={value} aria-label={label} onChange={(event) => onChange(event.target.value as T)}>
      {options.map(([key, text]) => (
        <option key={key} value={key}>
          {text}
        </option>
      ))}
    </select>
  );
}

const GLYPHS: Record<string, [string, string]> = {
  queued: ["○", "calm"],
  ready: ["○", "calm"],
  blocked: ["◌", "calm"],
  waiting: ["○", "calm"],
  delayed: ["↻", "warn"],
  running: ["▶", "on"],
  succeeded: ["✓", "ok"],
  ok: ["✓", "ok"],
  failed: ["✕", "bad"],
  dead: ["✕", "bad"],
  timeout: ["✕", "bad"],
  lost: ["↯", "warn"],
  cancelled: ["–", "calm"],
  working: ["✓", "ok"],
  draining: ["↓", "warn"],
};

/** A state with a glyph and a word: colour alone says nothing. */
export function State({ name, text }: { name: string; text?: string }) {
  const [glyph, tone] = GLYPHS[name] ?? ["·", "calm"];
  return (
    <span className={`state ${tone}`}>
      <span aria-hidden="true">{glyph}</span>
      {text ?? words.states[name] ?? name}
    </span>
  );
}

export function Progress({ value, label, bad }: { value: number; label: string; bad?: boolean }) {
  const bar = useRef<HTMLElement>(null);
  const width = `${Math.round(Math.min(1, Math.max(0, value)) * 100)}%`;
  return (
    <div
      className={bad ? "bar bad" : "bar"}
      role="progressbar"
      aria-label={label}
      aria-valuenow={Math.round(value * 100)}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <i ref={bar} style={{ width }} />
    </div>
  );
}

export function Skeleton({ lines = 3, height = 14 }: { lines?: number; height?: number }) {
  return (
    <div className="stack" role="status" aria-label={words.common.loading}>
      {Array.from({ length: lines }, (_, n) => (
        <span key={n} className="skeleton" style={{ minHeight: height, width: `${100 - ((n * 17) % 40)}%` }} />
      ))}
    </div>
  );
}

export function Empty({ title, text, command, children }: { title: string; text?: string; command?: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <strong>{title}</strong>
      {text && <p>{text}</p>}
      {command && <code>{command}</code>}
      {children}
    </div>
  );
}

const ROUTES: Record<string, [path: string, name: string]> = {
  jobs: ["/jobs", words.pages.jobs],
  videos: ["/videos", words.pages.videos],
  nodes: ["/fleet", words.pages.fleet],
  places: ["/fleet", words.pages.fleet],
  alerts: ["/alerts", words.pages.alerts],
  webhooks: ["/alerts?tab=webhooks", words.alerts.tabs.webhooks],
  bins: ["/settings?tab=bins", words.settings.tabs.bins],
  tenants: ["/settings?tab=bins", words.settings.tabs.bins],
  keys: ["/settings?tab=keys", words.settings.tabs.keys],
};

/** What the server says, for who reads a page: a command stands as one, and in the place of a route of the API is the page that shows it. */
export function Said({ text }: { text: string }) {
  return text.split(/(`[^`]+`|GET \/v1\/[\w/-]+)/).map((part, n) => (n % 2 ? <Piece key={n} text={part} /> : part));
}

function Piece({ text }: { text: string }) {
  if (text.startsWith("`vidprocme jobs retry job_")) return <strong>{words.jobs.retry}</strong>; // the button is on the page
  const [, kind = "", id] = /^GET \/v1\/(\w+)(?:\/([\w-]+))?/.exec(text) ?? [];
  const [path, name] = ROUTES[kind] ?? [];
  if (!path) return <code>{text.replaceAll("`", "")}</code>;
  const one = id && (kind === "jobs" || kind === "videos");
  return <Link {...linkOf(one ? `${path}/${id}` : path)}>{one ? words.common.itsPage : name}</Link>;
}

export function ErrorState({ error, again }: { error: unknown; again?: () => void }) {
  const problem = problemOf(error);
  return (
    <div className="notice bad" role="alert">
      <div>
        <b>{problem.message || words.common.error}</b> <Said text={problem.hint} />
        <div className="meta">
          {problem.code}
          {problem.requestId && ` · ${words.common.request(problem.requestId)}`}
        </div>
      </div>
      {again && (
        <div className="row">
          <Button onClick={again}>{words.common.tryAgain}</Button>
        </div>
      )}
    </div>
  );
}

/** In the place of a page that cannot be shown. */
export function ErrorPage({ error, again }: { error: unknown; again: () => void }) {
  return (
    <>
      <PageHead title={words.common.error} />
      <ErrorState error={error} again={again} />
    </>
  );
}

/** What a query shows: a skeleton, its error with a way on, or its data. */
export function Loaded<T>({
  query,
  children,
  lines,
}: {
  query: { data: T | undefined; error: unknown; refetch: () => unknown };
  children: (data: T) => ReactNode;
  lines?: number;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <ErrorState error={query.error} again={() => void query.refetch()} />;
  return <Skeleton lines={lines ?? 4} />;
}

/** A moment, in the person's zone; all of it on hover. `rough`: it is known to the minute. */
export function Time({ at, relative, rough }: { at: string; relative?: boolean; rough?: boolean }) {
  const { utc } = usePrefs();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!relative) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, [relative]);
  const style = rough ? "short" : "medium";
  return (
    <time dateTime={at} title={clock(at, !utc, style)}>
      {relative ? age((now - Date.parse(at)) / 1000) : clock(at, utc, style)}
    </time>
  );
}

export function Copy({ text, label = words.common.copy }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(() => setDone(false), 2_000);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <Button small onClick={() => void copyText(text).then(() => setDone(true))}>
      {done ? words.common.copied : label}
    </Button>
  );
}

/** The clipboard needs a secure page; over plain HTTP in a network the old way is left. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export interface Tab<T extends string> {
  key: T;
  text: ReactNode;
}

/** Moves a row that scrolls sideways so that what is chosen in it stands amid it. */
export function amid(row: HTMLElement | null): void {
  const chosen = row?.querySelector("[aria-selected=true], [aria-current=page]");
  if (!row || !chosen) return;
  const [all, one] = [row.getBoundingClientRect(), chosen.getBoundingClientRect()];
  row.scrollLeft += one.left + one.width / 2 - all.left - all.width / 2;
}

export function Tabs<T extends string>({ tabs, now, choose, label }: { tabs: Tab<T>[]; now: T; choose: (key: T) => void; label: string }) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => amid(list.current), [now]);
  const move = (event: React.KeyboardEvent) => {
    const at = tabs.findIndex((tab) => tab.key === now);
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const next = event.key === "Home" ? tabs[0] : event.key === "End" ? tabs.at(-1) : step ? tabs[(at + step + tabs.length) % tabs.length] : undefined;
    if (!next) return;
    event.preventDefault();
    choose(next.key);
    list.current?.querySelector<HTMLButtonElement>(`[data-key="${next.key}"]`)?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
      {tabs.map((tab) => (
        <button
          key={tab.key}
          type="button"
          role="tab"
          data-key={tab.key}
          aria-selected={tab.key === now}
          tabIndex={tab.key === now ? 0 : -1}
          onClick={() => choose(tab.key)}
        >
          {tab.text}
        </button>
      ))}
    </div>
  );
}

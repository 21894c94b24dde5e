// The table of jobs: as many rows as there are, and only those on the screen are drawn.

import { useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { age, percent } from "../format";
import { Progress, State } from "../parts/basic";
import { usePrefs } from "../prefs";
import { rows } from "../queries";
import type { Row } from "../rows";
import { words } from "../words";

/** What is selected. */
export interface Chosen {
  ids: Set<string>;
  all: boolean; // all that the filter finds, not only what is on the page
  toggle: (id: string) => void;
  set: (ids: string[]) => void;
  everything: () => void;
  clear: () => void;
}

export const NAMED_MOST = 1_000; // jobs that the API takes by their ids; more are all that the filter finds
const LEFT = 100; // rows below the last one that is drawn, when the next page is asked for

export function JobTable({ ids, total, chosen, more }: { ids: string[]; total: number; chosen: Chosen; more: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const { density } = usePrefs();
  const [here, setHere] = useState(-1);
  const [now, setNow] = useState(() => Date.now());
  const navigate = useNavigate();
  const height = density === "compact" ? 32 : 40;
  const lines = useVirtualizer({ count: ids.length, getScrollElement: () => box.current, estimateSize: () => height, overscan: 12 });
  useSyncExternalStore(rows.watch, () => rows.version);
  const drawn = lines.getVirtualItems();
  const first = drawn[0]?.index ?? 0;
  const last = drawn.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last >= ids.length - LEFT) more();
  }, [last, ids.length, more]);
  useEffect(() => rows.show(ids.slice(first, last + 1)), [ids, first, last]);
  useEffect(() => () => rows.show([]), []);
  useEffect(() => {
    lines.measure();
  }, [height, lines]);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  const open = useCallback((id: string) => void navigate({ to: "/jobs/$id", params: { id } }), [navigate]);
  const keys = (event: React.KeyboardEvent) => {
    const to: Record<string, number> = { j: here + 1, ArrowDown: here + 1, k: here - 1, ArrowUp: here - 1, Home: 0, End: ids.length - 1 };
    const next = to[event.key];
    const id = ids[here];
    if (next !== undefined) {
      const at = Math.min(ids.length - 1, Math.max(0, next));
      setHere(at);
      lines.scrollToIndex(at, { align: "auto" });
    } else if (event.key === "x" || event.key === " ") {
      if (id) chosen.toggle(id);
    } else if (event.key === "Enter" && event.target === box.current) {
      if (id) open(id);
    } else return;
    event.preventDefault();
  };
  const columns = words.jobs.columns;
  const every = chosen.all || (chosen.ids.size >= ids.length && ids.every((id) => chosen.ids.has(id)));
  return (
    <div className="jobs" role="table" aria-label={words.jobs.title} aria-rowcount={total + 1}>
      <div role="rowgroup">
        <div role="row" className="job-row job-head" aria-rowindex={1}>
          <span role="columnheader">
            <input
              type="checkbox"
              aria-label={words.jobs.selectAll}
              checked={every}
              onChange={() => {
                if (every) chosen.clear();
                else chosen.set(ids);
                if (!every && ids.length > NAMED_MOST) chosen.everything();
              }}
            />
          </span>
          {[columns.state, columns.name, columns.stage, columns.bin, columns.progress, columns.age, columns.error].map((text) => (
            <span key={text} role="columnheader">
              {text}
            </span>
          ))}
        </div>
      </div>
      <div
        ref={box}
        role="rowgroup"
        className="job-body"
        data-scroll-restoration-id="jobs"
        tabIndex={0}
        aria-label={words.jobs.title}
        onKeyDown={keys}
      >
        <div style={{ height: lines.getTotalSize(), position: "relative" }} role="presentation">
          {drawn.map(({ index, start }) => {
            const id = ids[index] ?? "";
            const job = rows.get(id);
            const at = { index, top: start, height, here: index === here };
            return job ? (
              <Line
                key={id}
                job={job}
                on={chosen.all || chosen.ids.has(id)}
                old={age((now - Date.parse(job.created_at)) / 1000)}
                toggle={chosen.toggle}
                open={open}
                {...at}
              />
            ) : (
              <Missing key={id} {...at} />
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface At {
  index: number; // in the list, from 0
  top: number; // px
  height: number; // px
  here: boolean; // the keyboard is at this row
}

const place = ({ top, height }: At): React.CSSProperties => ({
  position: "absolute",
  top: 0,
  left: 0,
  right: 0,
  height,
  transform: `translateY(${top}px)`,
});
const look = ({ here }: At) => (here ? "job-row here" : "job-row");

/** A row that was read once and is no longer kept: it is asked for. */
function Missing(at: At) {
  return (
    <div role="row" aria-rowindex={at.index + 2} aria-busy="true" className={look(at)} style={place(at)}>
      <span role="cell" />
      <span role="cell">
        <span className="skeleton" />
      </span>
    </div>
  );
}

interface LineProps extends At {
  job: Row;
  on: boolean;
  old: string;
  toggle: (id: string) => void;
  open: (id: string) => void;
}

// Drawn again only when something of it changed: a table is drawn anew at each step of a scroll and whenever one of its rows changes.
const Line = memo(function Line({ job, on, old, toggle, open, ...at }: LineProps) {
  return (
    <div role="row" aria-rowindex={at.index + 2} aria-selected={on} className={look(at)} style={place(at)}>
      <span role="cell">
        <input type="checkbox" tabIndex={-1} aria-label={words.jobs.select(job.title)} checked={on} onChange={() => toggle(job.id)} />
      </span>
      <span role="cell">
        <State name={job.tasks.dead ? "dead" : job.state} />
      </span>
      <span role="cell" className="cut">
        <a
          href={`/jobs/${job.id}`}
          tabIndex={-1}
          title={job.title}
          onClick={(event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            open(job.id);
          }}
        >
          {job.title}
        </a>
      </span>
      <span role="cell" className="cut meta">
        {job.stage}
      </span>
      <span role="cell">{job.bin}</span>
      <span role="cell" className="job-progress">
        <Progress value={job.progress} label={`${job.title} ${percent(job.progress)}`} bad={job.state === "failed"} />
      </span>
      <span role="cell" className="meta" title={job.created_at}>
        {old}
      </span>
      <span role="cell" className="cut meta" title={job.message ?? undefined}>
        {job.message}
      </span>
    </div>
  );
});

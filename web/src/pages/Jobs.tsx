import { useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { http, queries, type Schemas, told } from "../api";
import { age, percent, whole } from "../format";
import { Button, Empty, ErrorState, PageHead, Progress, Select, Skeleton, State } from "../parts/basic";
import { attempt, Confirm, Menu, toast } from "../parts/overlay";
import { usePrefs } from "../prefs";
import { type JobSearch, useJobs, useJobsHead } from "../queries";
import { uploads } from "../upload/uploads";
import { words } from "../words";
import { readFilter, writeFilter } from "./filter";
import { Typed } from "./Videos";

type Job = Schemas["JobSummary"];
type Action = Schemas["Action"];

const STATES = ["queued", "running", "succeeded", "failed", "cancelled"] as const;
const BINS = ["urgent", "high", "normal", "bulk"] as const;
const SINCE = [
  ["", words.common.all],
  ["1h", "1 h"],
  ["24h", "24 h"],
  ["7d", "7 d"],
] as const;

export default function Jobs() {
  const filter = useSearch({ from: "/jobs" });
  const navigate = useNavigate({ from: "/jobs" });
  const set = (change: JobSearch) => void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const head = useJobsHead(filter);
  const jobs = useJobs(filter);
  // Rows stand where they stood, and say what became of their jobs.
  const items = useMemo(() => {
    const fresh = new Map(head.data?.items.map((job) => [job.id, job]));
    return jobs.data?.pages.flatMap((page) => page.items.map((job) => fresh.get(job.id) ?? job)) ?? [];
  }, [jobs.data, head.data]);
  const total = head.data?.total_estimate ?? items.length;
  const counts = head.data?.counts ?? {};
  const chosen = useChosen(filter);
  const toggle = (name: "state" | "bin", value: string) => {
    const before = filter[name] ?? [];
    const after = before.includes(value) ? before.filter((one) => one !== value) : [...before, value];
    set({ [name]: after.length ? after : undefined });
  };
  const extra = (["stage", "code", "tenant"] as const).flatMap((name) => (filter[name] ?? []).map((value) => [name, value] as const));
  return (
    <>
      <PageHead title={words.jobs.title} text={words.jobs.match(total)}>
        <Button look="main" onClick={() => uploads.pick()}>
          {words.overview.add}
        </Button>
      </PageHead>
      <div className="row filters">
        <Typed value={writeFilter(filter)} label={words.jobs.filter} change={(text) => set(readFilter(text))} />
        <Select label={words.settings.when} value={filter.since ?? ""} options={SINCE.some(([value]) => value === (filter.since ?? "")) ? SINCE : [...SINCE, [filter.since ?? "", filter.since ?? ""] as const]} onChange={(since) => set({ since: since || undefined })} />
        <Select
          label={words.jobs.sort}
          value={filter.sort ?? "-created_at"}
          options={[
            ["-created_at", words.jobs.newest],
            ["created_at", words.jobs.oldest],
          ]}
          onChange={(sort) => set({ sort: sort === "-created_at" ? undefined : sort })}
        />
      </div>
      <div className="row filters">
        {STATES.map((state) => (
          <Chip key={state} on={filter.state?.includes(state)} click={() => toggle("state", state)}>
            {words.states[state]} {counts[state] ? <span className="meta">{whole(counts[state])}</span> : null}
          </Chip>
        ))}
        <Chip on={filter.state?.includes("dead")} click={() => toggle("state", "dead")}>
          {words.jobs.deadLetters} {counts.dead ? <span className="meta">{whole(counts.dead)}</span> : null}
        </Chip>
        <span className="gap" />
        {BINS.map((bin) => (
          <Chip key={bin} on={filter.bin?.includes(bin)} click={() => toggle("bin", bin)}>
            {bin}
          </Chip>
        ))}
        {extra.map(([name, value]) => (
          <Chip key={`${name} ${value}`} on click={() => set({ [name]: filter[name]?.filter((one) => one !== value) })}>
            {name}: {value} <span aria-hidden="true">✕</span>
          </Chip>
        ))}
      </div>
      <News filter={filter} first={items[0]?.id} head={head.data} reload={() => void queries.resetQueries({ queryKey: ["jobs", "list"] })} />
      <Bulk chosen={chosen} total={total} filter={filter} />
      {jobs.error && !jobs.data ? (
        <ErrorState error={jobs.error} again={() => void jobs.refetch()} />
      ) : jobs.data ? (
        items.length ? (
          <Table
            items={items}
            total={total}
            chosen={chosen}
            more={() => {
              if (jobs.hasNextPage && !jobs.isFetchingNextPage) void jobs.fetchNextPage();
            }}
          />
        ) : Object.keys(filter).length ? (
          <Empty title={words.jobs.noMatch}>
            <Button onClick={() => void navigate({ search: {} })}>{words.common.clear}</Button>
          </Empty>
        ) : (
          <Empty title={words.jobs.empty} text={words.videos.emptyNext} command="vidprocme submit VIDEO" />
        )
      ) : (
        <Skeleton lines={10} height={28} />
      )}
    </>
  );
}

function Chip({ on, click, children }: { on?: boolean; click: () => void; children: React.ReactNode }) {
  return (
    <button type="button" className="chip" aria-pressed={on ?? false} onClick={click}>
      {children}
    </button>
  );
}

/** New rows are announced, and do not push away what is being read. */
function News({ filter, first, head, reload }: { filter: JobSearch; first?: string; head?: Schemas["JobList"]; reload: () => void }) {
  if (!first || !head || (filter.sort ?? "-created_at") !== "-created_at") return null;
  const at = head.items.findIndex((job) => job.id === first);
  const count = at < 0 ? head.items.length : at;
  if (!count || head.items[0]?.id === first) return null;
  return (
    <p style={{ marginBottom: 8 }}>
      <Button small onClick={reload}>
        {words.jobs.newer(count)}
      </Button>
    </p>
  );
}

// -- what is selected --------------------------------------------------------------------------------------------------

interface Chosen {
  ids: Set<string>;
  all: boolean; // all that the filter finds, not only what is on the page
  toggle: (id: string) => void;
  set: (ids: string[]) => void;
  everything: () => void;
  clear: () => void;
}

function useChosen(filter: JobSearch): Chosen {
  const [ids, setIds] = useState(new Set<string>());
  const [all, setAll] = useState(false);
  const clear = () => {
    setIds(new Set());
    setAll(false);
  };
  const name = JSON.stringify(filter);
  useEffect(clear, [name]);
  return {
    ids,
    all,
    toggle: (id) => {
      setAll(false);
      setIds((before) => {
        const after = new Set(before);
        if (!after.delete(id)) after.add(id);
        return after;
      });
    },
    set: (wanted) => setIds(new Set(wanted)),
    everything: () => setAll(true),
    clear,
  };
}

function Bulk({ chosen, total, filter }: { chosen: Chosen; total: number; filter: JobSearch }) {
  const [asked, setAsked] = useState<{ action: Action; bin?: string; answer: Schemas["BulkAnswer"] } | null>(null);
  const count = chosen.all ? total : chosen.ids.size;
  if (!count) return null;
  const { sort: _, ...conditions } = filter;
  const wish = (action: Action, bin?: string, dry_run = false): Schemas["BulkWish"] => ({
    action,
    bin: bin ?? null,
    dry_run,
    ...(chosen.all ? { filter: conditions as Schemas["JobFilter"], ids: null } : { ids: [...chosen.ids], filter: null }),
  });
  const ask = async (action: Action, bin?: string) => {
    try {
      setAsked({ action, bin, answer: await told(http.POST("/v1/jobs:bulk", { body: wish(action, bin, true) })) });
    } catch (error) {
      toast((error as Error).message);
    }
  };
  const go = async () => {
    if (!asked) return;
    const answer = await told(http.POST("/v1/jobs:bulk", { body: wish(asked.action, asked.bin) }));
    chosen.clear();
    if (answer.operation) void attempt(() => watchOperation(answer.operation ?? ""));
  };
  const verbs: [Action, string][] = [
    ["retry", words.jobs.retry],
    ["cancel", words.jobs.cancel],
    ["drop", words.jobs.drop],
  ];
  return (
    <div className="notice bulk" role="region" aria-label={words.jobs.selected(count)}>
      <strong>{words.jobs.selected(count)}</strong>
      {!chosen.all && total > chosen.ids.size && (
        <Button small look="quiet" onClick={chosen.everything}>
          {words.jobs.allMatching(total)}
        </Button>
      )}
      <div className="row">
        {verbs.map(([action, text]) => (
          <Button key={action} small onClick={() => void ask(action)}>
            {text}
          </Button>
        ))}
        <Menu small text={words.jobs.move} choices={BINS.map((bin) => ({ text: bin, act: () => void ask("move", bin) }))} />
        <Button small look="quiet" onClick={chosen.clear}>
          {words.common.clear}
        </Button>
      </div>
      {asked && (
        <Confirm
          title={`${asked.action} ${asked.bin ?? ""}`}
          text={words.jobs.confirm(asked.action, asked.answer.able, asked.answer.matched)}
          verb={words.common.confirm}
          danger={asked.action === "drop"}
          act={go}
          close={() => setAsked(null)}
        />
      )}
    </div>
  );
}

async function watchOperation(id: string): Promise<void> {
  for (let tries = 0; tries < 3_600; tries += 1) {
    const found = await told(http.GET("/v1/operations/{operation_id}", { params: { path: { operation_id: id } } }));
    if (found.state !== "running") {
      toast(words.jobs.finished(found.done, found.unchanged, found.failed));
      await queries.invalidateQueries({ queryKey: ["jobs"] });
      return;
    }
    if (tries % 5 === 2) toast(words.jobs.working(found.done + found.unchanged + found.failed, found.total));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

// -- the table -----------------------------------------------------------------------------------------------------------

function Table({ items, total, chosen, more }: { items: Job[]; total: number; chosen: Chosen; more: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const { density } = usePrefs();
  const [row, setRow] = useState(-1);
  const [now, setNow] = useState(() => Date.now());
  const navigate = useNavigate();
  const height = density === "compact" ? 32 : 40;
  const rows = useVirtualizer({ count: items.length, getScrollElement: () => box.current, estimateSize: () => height, overscan: 12 });
  const shown = rows.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last >= items.length - 40) more();
  }, [last, items.length, more]);
  useEffect(() => {
    rows.measure();
  }, [height, rows]);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  const open = (job: Job | undefined) => job && void navigate({ to: "/jobs/$id", params: { id: job.id } });
  const keys = (event: React.KeyboardEvent) => {
    const to: Record<string, number> = { j: row + 1, ArrowDown: row + 1, k: row - 1, ArrowUp: row - 1, Home: 0, End: items.length - 1 };
    const next = to[event.key];
    if (next !== undefined) {
      const at = Math.min(items.length - 1, Math.max(0, next));
      setRow(at);
      rows.scrollToIndex(at, { align: "auto" });
    } else if (event.key === "x" || event.key === " ") {
      const job = items[row];
      if (job) chosen.toggle(job.id);
    } else if (event.key === "Enter" && event.target === box.current) open(items[row]);
    else return;
    event.preventDefault();
  };
  const columns = words.jobs.columns;
  const every = items.length > 0 && items.every((job) => chosen.all || chosen.ids.has(job.id));
  return (
    <div className="jobs" role="table" aria-label={words.jobs.title} aria-rowcount={total + 1}>
      <div role="rowgroup">
        <div role="row" className="job-row job-head" aria-rowindex={1}>
          <span role="columnheader">
            <input
              type="checkbox"
              aria-label={words.jobs.selectAll}
              checked={every}
              onChange={() => (every ? chosen.clear() : chosen.set(items.map((job) => job.id)))}
            />
          </span>
          {[columns.state, columns.name, columns.stage, columns.bin, columns.progress, columns.age, columns.error].map((text) => (
            <span key={text} role="columnheader">
              {text}
            </span>
          ))}
        </div>
      </div>
      <div ref={box} role="rowgroup" className="job-body" tabIndex={0} aria-label={words.jobs.title} onKeyDown={keys}>
        <div style={{ height: rows.getTotalSize(), position: "relative" }} role="presentation">
          {shown.map((virtual) => {
            const job = items[virtual.index];
            if (!job) return null;
            const on = chosen.all || chosen.ids.has(job.id);
            return (
              <div
                key={job.id}
                role="row"
                aria-rowindex={virtual.index + 2}
                aria-selected={on}
                className={virtual.index === row ? "job-row here" : "job-row"}
                style={{ position: "absolute", top: 0, left: 0, right: 0, height, transform: `translateY(${virtual.start}px)` }}
              >
                <span role="cell">
                  <input type="checkbox" tabIndex={-1} aria-label={words.jobs.select(job.title)} checked={on} onChange={() => chosen.toggle(job.id)} />
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
                      open(job);
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
                  {age((now - Date.parse(job.created_at)) / 1000)}
                </span>
                <span role="cell" className="cut meta" title={job.message ?? undefined}>
                  {job.message}
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

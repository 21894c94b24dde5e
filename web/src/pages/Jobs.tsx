import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { http, queries, type Schemas, told } from "../api";
import { whole } from "../format";
import { Button, Empty, ErrorState, PageHead, Select, Skeleton } from "../parts/basic";
import { attempt, Confirm, Menu, toast } from "../parts/overlay";
import { type JobSearch, renew, rows, useJobs, useJobsHead } from "../queries";
import { uploads } from "../upload/uploads";
import { words } from "../words";
import { readFilter, writeFilter } from "./filter";
import { type Chosen, JobTable, NAMED_MOST } from "./JobTable";
import { Typed } from "./Videos";

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
  // Rows stand where they stood, and say what became of their jobs; those that were dropped go.
  const losses = useSyncExternalStore(rows.watch, () => rows.losses);
  const ids = useMemo(
    () => jobs.data?.pages.flatMap((page) => (losses ? page.ids.filter((id) => !rows.isGone(id)) : page.ids)) ?? [],
    [jobs.data, losses],
  );
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = jobs;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const reload = () => void queries.resetQueries({ queryKey: ["jobs", "list"] });
  // Nothing is being read in an empty list: what comes is shown at once.
  const empty = jobs.data !== undefined && !jobs.isPlaceholderData && ids.length === 0;
  const first = head.isPlaceholderData ? undefined : head.data?.items[0]?.id;
  useEffect(() => {
    if (empty && first) reload();
  }, [empty, first]);
  const total = head.data?.total_estimate ?? ids.length;
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
      <News filter={filter} first={ids[0]} head={head.data} reload={reload} />
      <Bulk chosen={chosen} total={total} filter={filter} />
      {jobs.error && !jobs.data ? (
        <ErrorState error={jobs.error} again={() => void jobs.refetch()} />
      ) : jobs.data ? (
        ids.length ? (
          <JobTable key={JSON.stringify(filter)} ids={ids} total={total} chosen={chosen} more={more} />
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

function useChosen(filter: JobSearch): Chosen {
  const [ids, setIds] = useState(new Set<string>());
  const [all, setAll] = useState(false);
  const clear = () => {
    setIds(new Set());
    setAll(false);
  };
  const name = JSON.stringify(filter);
  useEffect(clear, [name]);
  const toggle = useCallback((id: string) => {
    setAll(false);
    setIds((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  }, []);
  return {
    ids,
    all,
    toggle,
    set: (wanted) => setIds(new Set(wanted)),
    everything: () => setAll(true),
    clear,
  };
}

function Bulk({ chosen, total, filter }: { chosen: Chosen; total: number; filter: JobSearch }) {
  const [asked, setAsked] = useState<{ action: Action; bin?: string; answer: Schemas["BulkAnswer"] } | null>(null);
  const count = chosen.all ? total : chosen.ids.size;
  if (!count) return null;
  const tooMany = !chosen.all && count > NAMED_MOST;
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
      {tooMany && <span>{words.jobs.tooMany(NAMED_MOST)}</span>}
      <div className="row">
        {!tooMany &&
          verbs.map(([action, text]) => (
            <Button key={action} small onClick={() => void ask(action)}>
              {text}
            </Button>
          ))}
        {!tooMany && <Menu small text={words.jobs.move} choices={BINS.map((bin) => ({ text: bin, act: () => void ask("move", bin) }))} />}
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
      await renew(["jobs"]);
      return;
    }
    if (tries % 5 === 2) toast(words.jobs.working(found.done + found.unchanged + found.failed, found.total));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

// What the pages ask for, and how news of the stream reaches it: documents that the stream brings are put in place, others are
// asked for again, at most once a second each.

import { type InfiniteData, type QueryKey, keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { paths } from "./api.gen";
import { http, type Problem, problemOf, queries, type Schemas, told } from "./api";
import { live } from "./live";
import { Rows } from "./rows";

// -- the stream ------------------------------------------------------------------------------------------------------

const due = new Map<string, ReturnType<typeof setTimeout> >();
const AGAIN_MS = 1_000;

function soon(key: QueryKey): void {
  const name = JSON.stringify(key);
  if (due.has(name)) return;
  due.set(
    name,
    setTimeout(() => {
      due.delete(name);
      if (key[0] === "job" && gone.has(String(key[1]))) return;
      void queries.invalidateQueries({ queryKey: key });
    }, AGAIN_MS),
  );
}

const gone = new Set<string>();

/** Drops a job. Its page is still there when the news of it comes: nothing more is asked of the job. */
export async function drop(job: string, succeeded: boolean): Promise<void> {
  gone.add(job);
  try {
    await told(http.DELETE("/v1/jobs/{job_id}", { params: { path: { job_id: job }, query: { succeeded } } }));
  } catch (error) {
    gone.delete(job);
    throw error;
  }
}

export function follow(): void {
  live.on(({ event, data }) => {
    if (event === "overview") queries.setQueryData(["overview"], data);
    else if (event === "fleet") {
      queries.setQueryData(["nodes"], data);
      soon(["lanes"]);
    } else if (event === "alert") soon(["alerts"]);
    else if (event === "gap") void renew();
    else if (event === "diary") {
      const told = data as Schemas["JobEvent"];
      if (told.job) {
        rows.touch(told.job);
        // Most jobs that are told of are on no page: no timer for each of them.
        if (queries.getQueryCache().findAll({ queryKey: ["job", told.job] }).length) soon(["job", told.job]);
        soon(["jobs", "counts"]);
        soon(["videos"]);
        soon(["video"]);
      } else soon(["bins"]);
    }
  });
}

/** Asks again for what is on the screen, all of it or what is under `key`. Of a long list of jobs only the rows that are shown: all
 * its pages would be as many questions, one after another. */
export async function renew(key: QueryKey = []): Promise<void> {
  rows.touchAll();
  await Promise.all([
    queries.invalidateQueries({ queryKey: key, predicate: (query) => !isLong(query) }),
    queries.invalidateQueries({ queryKey: key, predicate: isLong, refetchType: "none" }),
  ]);
}

const isLong = (query: { queryKey: QueryKey; state: { data: unknown } }): boolean =>
  query.queryKey[0] === "jobs" && query.queryKey[1] === "list" && ((query.state.data as JobPages | undefined)?.pages.length ?? 0) > 1;

// -- documents -------------------------------------------------------------------------------------------------------

/** null: the server asks for a key. */
export const useSession = () =>
  useQuery({
    queryKey: ["session"],
    queryFn: () =>
      told(http.GET("/v1/session")).catch((error: Problem) => {
        if (problemOf(error).status === 401) return null;
        throw error;
      }),
    staleTime: 60_000,
  });

export const useOverview = () => useQuery({ queryKey: ["overview"], queryFn: () => told(http.GET("/v1/overview")), refetchInterval: 15_000 });

export const useNodes = () => useQuery({ queryKey: ["nodes"], queryFn: () => told(http.GET("/v1/nodes")), refetchInterval: 15_000 });

export const useBins = () => useQuery({ queryKey: ["bins"], queryFn: () => told(http.GET("/v1/bins")), refetchInterval: 15_000 });

export const useTenants = () => useQuery({ queryKey: ["tenants"], queryFn: () => told(http.GET("/v1/tenants")) });

export const useLanes = (place: string, windowS: number) =>
  useQuery({
    queryKey: ["lanes", place, windowS],
    queryFn: () => told(http.GET("/v1/places/{place}/lanes", { params: { path: { place }, query: { window_s: windowS } } })),
    placeholderData: keepPreviousData,
    refetchInterval: 10_000,
  });

export const useSeries = (by: "frames" | "jobs", minutes: number) =>
  useQuery({
    queryKey: ["series", by, minutes],
    queryFn: () => told(http.GET("/v1/series", { params: { query: { by, minutes } } })),
    refetchInterval: 30_000,
  });

export const useModels = () => useQuery({ queryKey: ["models"], queryFn: () => told(http.GET("/v1/models")) });

export const useSettings = () => useQuery({ queryKey: ["settings"], queryFn: () => told(http.GET("/v1/settings")), staleTime: 300_000 });

export const useUnfinished = (enabled: boolean) =>
  useQuery({ queryKey: ["uploads"], queryFn: () => told(http.GET("/v1/uploads")), staleTime: 60_000, retry: false, enabled });

export type AlertTab = Schemas["AlertState"];

export const useAlerts = (state: AlertTab) =>
  useQuery({
    queryKey: ["alerts", state],
    queryFn: () => told(http.GET("/v1/alerts", { params: { query: { state: [state], limit: 200 } } })),
    refetchInterval: 30_000,
  });

export const useRules = () => useQuery({ queryKey: ["alerts", "rules"], queryFn: () => told(http.GET("/v1/alert-rules")) });

export const useWebhooks = () => useQuery({ queryKey: ["webhooks"], queryFn: () => told(http.GET("/v1/webhooks")) });

export const useDeliveries = (id: string) =>
  useQuery({
    queryKey: ["webhooks", id, "deliveries"],
    queryFn: () => told(http.GET("/v1/webhooks/{webhook_id}/deliveries", { params: { path: { webhook_id: id } } })),
    refetchInterval: 5_000,
  });

export const useKeys = () => useQuery({ queryKey: ["keys"], queryFn: () => told(http.GET("/v1/keys")) });

export const useAudit = (filter: { who?: string; action?: string; object?: string }) =>
  useInfiniteQuery({
    queryKey: ["audit", filter],
    queryFn: ({ pageParam }) => told(http.GET("/v1/audit", { params: { query: { ...filter, limit: 100, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

// -- jobs ------------------------------------------------------------------------------------------------------------

export interface JobSearch {
  state?: string[];
  bin?: string[];
  stage?: string[];
  code?: string[];
  tenant?: string[];
  q?: string;
  name?: string;
  since?: string;
  until?: string;
  sort?: string;
}

export const JOBS_PAGE = 200;
const JOBS_NEWEST = 100; // so many new ones are told apart

/** The documents of all lists of jobs; see rows.ts. */
export const rows = new Rows(async (ids) => (await told(http.GET("/v1/jobs", { params: { query: { id: ids, limit: ids.length } } }))).items);

interface JobPage {
  ids: string[];
  next: string | null;
}
type JobPages = InfiniteData<JobPage, string | undefined>;

export function useJobs(filter: JobSearch) {
  const key = ["jobs", "list", filter];
  const name = JSON.stringify(key);
  const before = useRef(key);
  // Who comes back from a job finds the place where they were. Another filter is another question: when the first one is asked again
  // later, its first page is there at once, and is asked for anew.
  useEffect(() => {
    const left = before.current;
    before.current = key;
    if (JSON.stringify(left) === name) return;
    void queries.cancelQueries({ queryKey: left, exact: true });
    queries.setQueryData<JobPages>(left, (data) => data && { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) });
    void queries.invalidateQueries({ queryKey: left, exact: true, refetchType: "none" });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [name]);
  return useInfiniteQuery({
    queryKey: key,
    queryFn: async ({ pageParam }): Promise<JobPage> => {
      const page = await told(http.GET("/v1/jobs", { params: { query: { ...filter, limit: JOBS_PAGE, cursor: pageParam } } }));
      rows.put(page.items);
      return { ids: page.items.map((job) => job.id), next: page.next_cursor ?? null };
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
    structuralSharing: false, // it would compare all pages for each new one
    refetchOnMount: (query) => !isLong(query), // it would ask for all pages, one after another
    refetchOnWindowFocus: false,
    refetchOnReconnect: false, // the stream's return renews what is shown
  });
}

/** The first rows and the counts alone: whether there is news, without moving what is being read. */
export const useJobsHead = (filter: JobSearch) =>
  useQuery({
    queryKey: ["jobs", "counts", filter],
    queryFn: () => told(http.GET("/v1/jobs", { params: { query: { ...filter, limit: JOBS_NEWEST } } })),
    placeholderData: keepPreviousData,
  });

const ASK_MS = 3_000;

export const useJob = (id: string) =>
  useQuery({
    queryKey: ["job", id],
    queryFn: () => told(http.GET("/v1/jobs/{job_id}", { params: { path: { job_id: id } } })),
    // Pools say why it waits only while somebody asks, and nothing happens meanwhile that would be told.
    refetchInterval: (query) => (query.state.data?.waiting.some((one) => one.state === "ready") ? ASK_MS : false),
  });

export const useTimeline = (id: string) =>
  useQuery({
    queryKey: ["job", id, "timeline"],
    queryFn: () => told(http.GET("/v1/jobs/{job_id}/timeline", { params: { path: { job_id: id } } })),
  });

export const useAttempts = (id: string) =>
  useQuery({
    queryKey: ["job", id, "attempts"],
    queryFn: () => told(http.GET("/v1/jobs/{job_id}/attempts", { params: { path: { job_id: id }, query: { limit: 200 } } })),
  });

export const useTasks = (id: string) =>
  useQuery({
    queryKey: ["job", id, "tasks"],
    queryFn: () => told(http.GET("/v1/jobs/{job_id}/tasks", { params: { path: { job_id: id }, query: { limit: 200 } } })),
  });

export const useJobEvents = (id: string) =>
  useQuery({
    queryKey: ["job", id, "events"],
    queryFn: () => told(http.GET("/v1/jobs/{job_id}/events", { params: { path: { job_id: id }, query: { limit: 500 } } })),
  });

// -- videos ----------------------------------------------------------------------------------------------------------

export type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

export interface VideoSearch {
  q?: string;
  state?: JobState[];
  tag?: string[];
}

type VideoStates = NonNullable<paths["/v1/videos"]["get"]["parameters"]["query"]>["state"]; // others are refused in words

export const useVideos = (filter: VideoSearch) =>
  useInfiniteQuery({
    queryKey: ["videos", filter],
    queryFn: ({ pageParam }) => told(http.GET("/v1/videos", { params: { query: { ...filter, state: filter.state as VideoStates, limit: 60, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

export const useVideo = (id: string) =>
  useQuery({ queryKey: ["video", id], queryFn: () => told(http.GET("/v1/videos/{video_id}", { params: { path: { video_id: id } } })) });

export const useCaptions = (id: string, some: boolean) =>
  useQuery({
    enabled: some,
    queryKey: ["video", id, "captions"],
    queryFn: async () => {
      const answer = http.GET("/v1/videos/{video_id}/captions", { params: { path: { video_id: id }, query: { format: "json" } } });
      return (await told(answer).catch((problem: Problem) => {
        if (problem.code === "CAPTIONS_NONE") return { items: [] };
        throw problem;
      })) as Schemas["CaptionList"]; // other formats are texts
    },
  });

export const useFrames = (id: string) =>
  useInfiniteQuery({
    queryKey: ["video", id, "frames"],
    queryFn: ({ pageParam }) =>
      told(http.GET("/v1/videos/{video_id}/frames", { params: { path: { video_id: id }, query: { limit: 120, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

export const useSearch = (q: string) =>
  useInfiniteQuery({
    queryKey: ["search", q],
    queryFn: ({ pageParam }) => told(http.GET("/v1/search", { params: { query: { q, limit: 60, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    enabled: q.trim() !== "",
    placeholderData: keepPreviousData,
  });

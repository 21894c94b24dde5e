// One address for everything that can be looked at; filters are part of it.

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from "@tanstack/react-router";
import { Empty, ErrorState, PageHead } from "./parts/basic";
import { Shell } from "./parts/Shell";
import type { JobSearch, JobState, VideoSearch } from "./queries";
import { parseSearch, writeSearch } from "./query";
import { words } from "./words";

type Raw = Record<string, unknown>;
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined);
const list = (value: unknown): string[] | undefined => {
  const found = (Array.isArray(value) ? value : [value]).map(text).filter((one): one is string => one !== undefined);
  return found.length ? found : undefined;
};
const STATES: readonly JobState[] = ["queued", "running", "succeeded", "failed", "cancelled"];
const states = (value: unknown): JobState[] | undefined => {
  const found = list(value)?.filter((one): one is JobState => STATES.some((state) => state === one));
  return found?.length ? found : undefined;
};
const number = (value: unknown): number | undefined => {
  const found = typeof value === "number" ? value : Number.parseFloat(text(value) ?? "");
  return Number.isFinite(found) ? found : undefined;
};
const lean = <T extends object>(search: T): T => Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as T;

const root = createRootRoute({
  component: Shell,
  errorComponent: ({ error, reset }) => <ErrorState error={error} again={reset} />,
  notFoundComponent: () => (
    <>
      <PageHead title={words.common.nothing} />
      <Empty title={words.common.noPage}>
        <Link className="button" to="/">
          {words.palette.go(words.pages.overview)}
        </Link>
      </Empty>
    </>
  ),
});

const overview = createRoute({ getParentRoute: () => root, path: "/", component: lazyRouteComponent(() => import("./pages/Overview")) });
const videos = createRoute({
  getParentRoute: () => root,
  path: "/videos",
  validateSearch: (raw: Raw): VideoSearch => lean({ q: text(raw.q), state: states(raw.state), tag: list(raw.tag) }),
  component: lazyRouteComponent(() => import("./pages/Videos")),
});
const video = createRoute({
  getParentRoute: () => root,
  path: "/videos/$id",
  validateSearch: (raw: Raw): { t?: number; q?: string } => lean({ t: number(raw.t), q: text(raw.q) }),
  component: lazyRouteComponent(() => import("./pages/Video")),
});
const search = createRoute({
  getParentRoute: () => root,
  path: "/search",
  validateSearch: (raw: Raw): { q?: string } => lean({ q: text(raw.q) }),
  component: lazyRouteComponent(() => import("./pages/Search")),
});
const jobs = createRoute({
  getParentRoute: () => root,
  path: "/jobs",
  validateSearch: (raw: Raw): JobSearch =>
    lean({
      state: list(raw.state),
      bin: list(raw.bin),
      stage: list(raw.stage),
      code: list(raw.code),
      tenant: list(raw.tenant),
      q: text(raw.q),
      name: text(raw.name),
      since: text(raw.since),
      until: text(raw.until),
      sort: text(raw.sort),
    }),
  component: lazyRouteComponent(() => import("./pages/Jobs")),
});
const JOB_TABS = ["attempts", "log", "payload", "events"] as const;
export type JobTab = (typeof JOB_TABS)[number];
const job = createRoute({
  getParentRoute: () => root,
  path: "/jobs/$id",
  validateSearch: (raw: Raw): { tab?: JobTab; attempt?: string } =>
    lean({ tab: JOB_TABS.find((tab) => tab === raw.tab), attempt: text(raw.attempt) }),
  component: lazyRouteComponent(() => import("./pages/Job")),
});
export const WINDOWS = [300, 900, 3600] as const; // seconds
const fleet = createRoute({
  getParentRoute: () => root,
  path: "/fleet",
  validateSearch: (raw: Raw): { window?: number } => lean({ window: WINDOWS.find((one) => one === number(raw.window)) }),
  component: lazyRouteComponent(() => import("./pages/Fleet")),
});
const ALERT_TABS = ["open", "acknowledged", "silenced", "resolved", "rules", "webhooks"] as const;
export type AlertsTab = (typeof ALERT_TABS)[number];
const alerts = createRoute({
  getParentRoute: () => root,
  path: "/alerts",
  validateSearch: (raw: Raw): { tab?: AlertsTab } => lean({ tab: ALERT_TABS.find((tab) => tab === raw.tab) }),
  component: lazyRouteComponent(() => import("./pages/Alerts")),
});
const SETTINGS_TABS = ["look", "keys", "bins", "retention", "audit"] as const;
export type SettingsTab = (typeof SETTINGS_TABS)[number];
const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  validateSearch: (raw: Raw): { tab?: SettingsTab } => lean({ tab: SETTINGS_TABS.find((tab) => tab === raw.tab) }),
  component: lazyRouteComponent(() => import("./pages/Settings")),
});

const docs = createRoute({
  getParentRoute: () => root,
  path: "/docs",
  validateSearch: (raw: Raw): { q?: string } => lean({ q: text(raw.q) }),
  component: lazyRouteComponent(() => import("./pages/Docs")),
});

export const router = createRouter({
  routeTree: root.addChildren([overview, videos, video, search, jobs, job, fleet, alerts, settings, docs]),
  parseSearch,
  stringifySearch: writeSearch,
  search: { strict: true }, // what a page does not know never reaches its questions to the API
  defaultPreload: "intent",
  scrollRestoration: true,
  scrollToTopSelectors: ["[data-scroll-restoration-id]"], // boxes that scroll by themselves: where they were, for who comes back alone
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

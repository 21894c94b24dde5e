// One stream of events for each browser, however many tabs: the tab that holds a lock listens, and tells the others. A browser
// allows six connections to a server of HTTP/1.1, so that a stream in every tab would starve the pages.

import { useEffect, useSyncExternalStore } from "react";

export type LiveState = "connecting" | "live" | "lost";

export interface Told {
  event: string;
  id: string;
  data: unknown;
}

type Listener = (told: Told) => void;

export const TOPICS = "jobs,overview,fleet,alerts";
const EVENTS = ["diary", "overview", "fleet", "alert", "gap", "bye"];
const LOST_AFTER_MS = 10_000;
const AGAIN_MS = 2_000;

interface Message {
  kind: "told" | "state" | "ask";
  told?: Told;
  state?: LiveState;
  since?: number;
}

/** Opens the stream; tests give another one. */
export type Open = (url: string) => EventSource;

export class Live {
  private listeners = new Set<Listener>();
  private watchers = new Set<() => void>();
  private channel: BroadcastChannel | null = null;
  private source: EventSource | null = null;
  private last = "";
  private heardMs = Date.now();
  private leads = false;
  private ended = false;
  private wasLive = false;
  state: LiveState = "connecting";

  constructor(
    private readonly open: Open = (url) => new EventSource(url),
    private readonly name = "vidprocme-live",
  ) {}

  start(): void {
    this.channel = new BroadcastChannel(this.name);
    this.channel.onmessage = (event: MessageEvent<Message>) => this.hear(event.data);
    this.channel.postMessage({ kind: "ask" } satisfies Message);
    if ("locks" in navigator) {
      void navigator.locks.request(this.name, () => this.lead());
    } else {
      void this.lead();
    }
    setInterval(() => this.look(), 1_000);
  }

  on(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  get sinceMs(): number {
    return this.heardMs;
  }

  stop(): void {
    this.ended = true;
    this.source?.close();
    this.channel?.close();
  }

  /** Holds the lock until this tab goes. */
  private lead(): Promise<void> {
    this.leads = true;
    this.connect();
    return new Promise(() => undefined);
  }

  private connect(): void {
    if (this.ended) return;
    const after = this.last ? `&last_event_id=${this.last}` : "";
    const source = this.open(`/v1/events?topics=${TOPICS}${after}`);
    this.source = source;
    source.onopen = () => {
      // Nobody heard what happened while there was no stream, and there is no id to ask from: all is asked anew.
      if (this.wasLive && !this.last) this.share({ event: "gap", id: "", data: {} });
      this.wasLive = true;
      this.become("live", true);
    };
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        const message = event as MessageEvent<string>;
        const told = { event: name, id: message.lastEventId, data: JSON.parse(message.data) as unknown };
        if (name === "diary") this.last = told.id;
        if (name === "gap") this.last = "";
        this.become("live", true);
        this.share(told);
      });
    }
    source.onerror = () => {
      // EventSource tries again by itself after a cut, but not after an answer that is no stream.
      source.close();
      // Who is told that there is no news is told so until there is: a try that fails is none.
      if (this.state !== "lost") this.become("connecting", false);
      setTimeout(() => this.connect(), AGAIN_MS);
    };
  }

  private hear(message: Message): void {
    if (message.kind === "ask") {
      if (this.leads) this.channel?.postMessage({ kind: "state", state: this.state, since: this.heardMs } satisfies Message);
      return;
    }
    if (message.kind === "told" && message.told) {
      if (message.told.event === "diary") this.last = message.told.id;
      this.become("live", false, Date.now());
      this.tell(message.told);
    }
    if (message.kind === "state" && message.state) this.become(message.state, false, message.since);
  }

  private share(told: Told): void {
    this.tell(told);
    this.channel?.postMessage({ kind: "told", told } satisfies Message);
  }

  private tell(told: Told): void {
    for (const listener of this.listeners) listener(told);
  }

  private become(state: LiveState, share: boolean, heardMs = state === "live" ? Date.now() : this.heardMs): void {
    this.heardMs = heardMs;
    const changed = this.state !== state;
    this.state = state;
    if (changed) for (const watcher of this.watchers) watcher();
    if (share && changed) this.channel?.postMessage({ kind: "state", state, since: this.heardMs } satisfies Message);
  }

  private look(): void {
    if (this.leads && this.state === "live") {
      this.channel?.postMessage({ kind: "state", state: "live", since: Date.now() } satisfies Message);
      this.heardMs = Date.now();
    } else if (this.state !== "lost" && Date.now() - this.heardMs > LOST_AFTER_MS) {
      this.become("lost", this.leads);
    }
  }
}

export const live = new Live();

export function useLiveState(): LiveState {
  return useSyncExternalStore(
    (watcher) => live.watch(watcher),
    () => live.state,
  );
}

/** Calls back with what happens, while the part is shown. */
export function useLive(listener: Listener): void {
  useEffect(() => live.on(listener), [listener]);
}

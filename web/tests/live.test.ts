// One tab listens, the others hear of it, and another one takes over.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Live, type Told } from "../src/live";

class Source extends EventTarget {
  static all: Source[] = [];
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  constructor(readonly url: string) {
    super();
    Source.all.push(this);
  }
  say(event: string, data: unknown, lastEventId = "") {
    this.dispatchEvent(new MessageEvent(event, { data: JSON.stringify(data), lastEventId }));
  }
  close() {
    this.closed = true;
  }
}

type Work = () => Promise<void>;
const waiting: Work[] = [];
let held = false;

beforeEach(() => {
  vi.useFakeTimers();
  Source.all = [];
  waiting.length = 0;
  held = false;
  Object.defineProperty(navigator, "locks", {
    configurable: true,
    value: {
      request: (_name: string, work: Work) => {
        if (held) waiting.push(work);
        else {
          held = true;
          void work();
        }
        return new Promise(() => undefined);
      },
    },
  });
});

afterEach(() => vi.useRealTimers());

const made = () => {
  const one = new Live((url) => new Source(url) as unknown as EventSource, "test");
  const heard: Told[] = [];
  one.on((told) => heard.push(told));
  one.start();
  return { one, heard };
};

const passed = async (ms: number) => {
  await vi.advanceTimersByTimeAsync(ms);
  // Messages between tabs come by themselves, not by these timers.
  vi.useRealTimers();
  await new Promise((resolve) => setTimeout(resolve, 20));
  vi.useFakeTimers();
};

it("one stream for all tabs, and what it says reaches each", async () => {
  const first = made();
  const second = made();
  expect(Source.all).toHaveLength(1);
  Source.all[0]?.onopen?.();
  Source.all[0]?.say("diary", { kind: "job.ended" }, "5-0");
  await passed(0);
  expect(first.heard.map((told) => told.id)).toEqual(["5-0"]);
  expect(second.heard.map((told) => told.id)).toEqual(["5-0"]);
  expect([first.one.state, second.one.state]).toEqual(["live", "live"]);
  first.one.stop();
  second.one.stop();
});

it("after a cut it goes on from the last event, and after a gap from now", async () => {
  const { one } = made();
  Source.all[0]?.say("diary", {}, "7-0");
  Source.all[0]?.onerror?.();
  expect(one.state).toBe("connecting");
  await passed(2_000);
  expect(Source.all[1]?.url).toContain("last_event_id=7-0");
  Source.all[1]?.say("gap", { oldest: "9-0" });
  Source.all[1]?.onerror?.();
  await passed(2_000);
  expect(Source.all[2]?.url).not.toContain("last_event_id");
  one.stop();
});

it("it is lost when nothing was heard for ten seconds", async () => {
  const { one } = made();
  Source.all[0]?.onopen?.();
  Source.all[0]?.onerror?.();
  await vi.advanceTimersByTimeAsync(12_000);
  expect(one.state).toBe("lost");
  // A try that fails is no news: the notice does not come and go with each.
  Source.all.at(-1)?.onerror?.();
  expect(one.state).toBe("lost");
  await vi.advanceTimersByTimeAsync(2_000);
  Source.all.at(-1)?.onopen?.();
  expect(one.state).toBe("live");
  one.stop();
});

it("after a cut without an event to go on from, all is asked anew", async () => {
  const { one, heard } = made();
  Source.all[0]?.onopen?.();
  expect(heard).toEqual([]);
  Source.all[0]?.onerror?.();
  await passed(2_000);
  Source.all[1]?.onopen?.();
  expect(heard.map((told) => told.event)).toEqual(["gap"]);
  one.stop();
});

// What is on the screen is asked for again, and nothing else.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Row, Rows } from "../src/rows";

const row = (id: string, state = "queued") => ({ id, state, tasks: {} }) as unknown as Row;
const named = (first: number, count: number) => Array.from({ length: count }, (_, n) => `job_${first + n}`);

let server: Map<string, Row>;
let asked: string[][];
let away: boolean;

const made = (count: number) => {
  const ids = named(0, count);
  server = new Map(ids.map((id) => [id, row(id)]));
  const rows = new Rows((wanted) => {
    asked.push(wanted);
    if (away) return Promise.reject(new Error("away"));
    return Promise.resolve(wanted.flatMap((id) => server.get(id) ?? []));
  });
  rows.put(ids.map((id) => row(id)));
  return { rows, ids };
};
const change = (rows: Rows, id: string, state: string) => {
  server.set(id, row(id, state));
  rows.touch(id);
};
const passed = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  away = false;
});
afterEach(() => vi.useRealTimers());

it("a row far down the list says what became of its job", async () => {
  const { rows, ids } = made(1_000);
  rows.show(ids.slice(700, 740));
  change(rows, "job_720", "cancelled");
  await passed(1_000);
  expect(asked).toEqual([["job_720"]]);
  expect(rows.get("job_720")?.state).toBe("cancelled");
});

it("a row that changed out of sight is asked for when it comes into sight", async () => {
  const { rows, ids } = made(1_000);
  rows.show(ids.slice(0, 40));
  change(rows, "job_720", "cancelled");
  await passed(5_000);
  expect(asked).toEqual([]);
  rows.show(ids.slice(700, 740));
  await passed(1_000);
  expect(asked).toEqual([["job_720"]]);
});

it("many changes are one question a second", async () => {
  const { rows, ids } = made(100);
  rows.show(ids.slice(0, 40));
  for (let n = 0; n < 300; n += 1) {
    change(rows, `job_${n % 50}`, n % 2 ? "running" : "queued");
    await passed(10);
  }
  await passed(1_000);
  expect(asked.length).toBeLessThanOrEqual(5);
  expect(new Set(asked.flat())).toEqual(new Set(ids.slice(0, 40)));
});

it("a row that did not change is the same object, and is not drawn again", async () => {
  const { rows, ids } = made(10);
  const before = rows.get("job_3");
  rows.show(ids);
  rows.touch("job_3");
  await passed(1_000);
  expect(asked).toEqual([["job_3"]]);
  expect(rows.get("job_3")).toBe(before);
});

it("what changes while it is asked for is asked for once more", async () => {
  const ids = named(0, 10);
  let answer: (found: Row[]) => void = () => undefined;
  const slow = new Rows((wanted) => {
    asked.push(wanted);
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  slow.put(ids.map((id) => row(id)));
  slow.show(ids);
  slow.touch("job_1");
  await passed(1_000);
  slow.touch("job_1");
  answer([row("job_1", "running")]);
  await passed(2_000);
  expect(asked).toEqual([["job_1"], ["job_1"]]);
});

it("a job that is no more goes, and comes back with its next page", async () => {
  const { rows, ids } = made(10);
  rows.show(ids);
  server.delete("job_4");
  rows.touch("job_4");
  await passed(1_000);
  expect([rows.isGone("job_4"), rows.get("job_4"), rows.losses]).toEqual([true, undefined, 1]);
  await passed(5_000);
  expect(asked).toHaveLength(1);
  rows.put([row("job_4")]);
  expect([rows.isGone("job_4"), rows.losses]).toEqual([false, 2]);
});

it("a hundred thousand rows are not all kept, and those let go are asked for when they are seen again", async () => {
  const { rows, ids } = made(100_000);
  const kept = ids.filter((id) => rows.get(id));
  expect(kept.length).toBe(4_000);
  expect(kept[0]).toBe("job_96000");
  rows.show(ids.slice(0, 40));
  await passed(200);
  expect(asked).toEqual([ids.slice(0, 40)]);
  expect(rows.get("job_7")?.id).toBe("job_7");
});

it("what is on the screen is kept, whatever comes in", () => {
  const { rows } = made(40);
  rows.show(named(0, 40));
  rows.put(named(40, 10_000).map((id) => row(id)));
  expect(named(0, 40).every((id) => rows.get(id))).toBe(true);
});

it("a server that is away is asked again later, and nothing is lost", async () => {
  const { rows, ids } = made(10);
  rows.show(ids);
  away = true;
  change(rows, "job_2", "running");
  await passed(10_000);
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.length).toBeLessThan(8);
  expect(rows.get("job_2")?.state).toBe("queued");
  away = false;
  await passed(3_000);
  expect(rows.get("job_2")?.state).toBe("running");
});

it("after a gap all that is seen is asked for, at most a hundred at once", async () => {
  const { rows, ids } = made(300);
  rows.show(ids.slice(0, 150));
  rows.touchAll();
  await passed(1_500);
  expect(asked.map((one) => one.length)).toEqual([100, 50]);
  rows.show([]);
  rows.touchAll();
  await passed(5_000);
  expect(asked).toHaveLength(2);
});

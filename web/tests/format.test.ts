import { expect, it } from "vitest";
import { age, bytes, marked, percent, timeCode } from "../src/format";
import { readFilter, writeFilter } from "../src/pages/filter";
import { parseSearch, writeSearch } from "../src/query";

it("says sizes, ages and times as people read them", () => {
  expect([0, 999, 1000, 1_500_000, 250e9, 999_600].map(bytes)).toEqual(["0 B", "999 B", "1.0 kB", "1.5 MB", "250 GB", "1.0 MB"]);
  expect([-1, 0.4, 59.4, 60, 3_599, 3_600, 7_560, 200_000].map(age)).toEqual(["0 s", "0 s", "59 s", "1 min", "1.0 h", "1.0 h", "2.1 h", "2 d"]);
  expect([0, 7.9, 65, 3_729].map(timeCode)).toEqual(["0:00", "0:07", "1:05", "1:02:09"]);
  expect(percent(0.625)).toBe("63%");
});

it("marks of a snippet are pieces, never markup", () => {
  expect(marked("a [red] door")).toEqual([
    { text: "a ", hit: false },
    { text: "red", hit: true },
    { text: " door", hit: false },
  ]);
  expect(marked("<b>[x")).toEqual([{ text: "<b>[x", hit: false }]);
});

it("a filter is read as it is written", () => {
  const typed = 'stage:describe code:OOM "two words" tenant:"night shift"';
  const read = readFilter(typed);
  expect(read).toMatchObject({ stage: ["describe"], code: ["OOM"], tenant: ["night shift"], q: '"two words"' });
  expect(readFilter(writeFilter(read))).toEqual(read);
  expect(readFilter("http://x")).toMatchObject({ q: "http://x" });
});

it("an address holds lists as the API takes them", () => {
  expect(parseSearch("?state=failed&state=dead&q=a%20b")).toEqual({ state: ["failed", "dead"], q: "a b" });
  expect(writeSearch({ state: ["failed", "dead"], q: "a b", none: undefined, empty: "" })).toBe("?state=failed&state=dead&q=a+b");
  expect(writeSearch({})).toBe("");
});

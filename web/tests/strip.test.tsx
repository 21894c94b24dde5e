// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { ticks } from "../src/parts/Lanes";
import { Strip, type StripSpan } from "../src/parts/Strip";

afterEach(cleanup);

const spans: StripSpan[] = [
  { key: "a", start: 0, end: 3, look: "s-describe", label: "part a" },
  { key: "b", start: 3, end: 6, look: "s-describe", label: "part b" },
  { key: "c", start: 9, end: 18, look: "s-index", label: "part c", failed: true },
];

it("is one stop of the Tab key, and arrows move along it", () => {
  const choose = vi.fn();
  render(<Strip label="captions" from={0} to={12} spans={spans} choose={choose} />);
  const [a, b, c] = screen.getAllByRole("button");
  expect([a?.tabIndex, b?.tabIndex, c?.tabIndex]).toEqual([0, -1, -1]);

  a?.focus();
  fireEvent.keyDown(a as Element, { key: "ArrowLeft" });
  expect(document.activeElement).toBe(a);
  fireEvent.keyDown(a as Element, { key: "ArrowRight" });
  expect(document.activeElement).toBe(b);
  fireEvent.keyDown(b as Element, { key: "End" });
  expect(document.activeElement).toBe(c);
  expect([a?.tabIndex, c?.tabIndex]).toEqual([-1, 0]);
  fireEvent.click(c as Element);
  expect(choose).toHaveBeenCalledWith(spans[2]);
});

it("cuts what lies beyond the axis", () => {
  render(<Strip label="captions" from={0} to={12} spans={spans} />);
  const style = screen.getAllByRole("button")[2]?.style;
  expect([style?.left, style?.width]).toEqual(["75%", "calc(25%)"]);
});

it("has ticks at whole minutes", () => {
  expect(ticks(300)).toEqual(["5 min", "4", "3", "2", "1", "now"]);
  expect(ticks(3600)).toEqual(["60 min", "45", "30", "15", "now"]);
});

import { expect, test } from "vitest";
import { areaOf, pathOf, rangeOf } from "../../src/nodes/spark";

test("a gap is a gap: the line ends before it and begins anew behind it", () => {
  expect(pathOf([0, 1, null, 0.5, 0.5], 40, 20)).toBe("M0 20h.01L10 0M30 10h.01L40 10");
});

test("a value alone between gaps is a dot", () => {
  expect(pathOf([null, 0.5, null], 20, 20)).toBe("M10 10h.01");
});

test("areas reach to the ground at each side of a gap", () => {
  expect(areaOf([1, 1, null, 1, 1], 40, 20)).toBe("M0 20L0 0L10 0L10 20zM30 20L30 0L40 0L40 20z");
});

test("what is no ratio stays in the drawing, and what is no number is a gap", () => {
  expect(pathOf([7, -3, Number.NaN, 0], 30, 20)).toBe("M0 0h.01L10 20M30 20h.01");
});

test("of nothing nothing is drawn, and no range is told", () => {
  for (const values of [[], [null, null]]) {
    expect(pathOf(values, 40, 20)).toBe("");
    expect(rangeOf(values)).toBeNull();
  }
});

test("a trend that ends in a gap has no present value", () => {
  expect(rangeOf([0.2, 0.6, null])).toEqual({ low: 0.2, high: 0.6, last: null });
});

import { describe, expect, it } from "vitest";
import type { HistoryView } from "../../src/api/types";
import { untilNext } from "../../src/drawer/charts";
import { gridOf, PLOTS, summary, told } from "../../src/drawer/charts/series";

function history(more: Partial<HistoryView> = {}): HistoryView {
  const none = [null, null, null];
  return {
    start: "2026-11-24T00:00:00Z",
    bucketSeconds: 300,
    beats: [10, null, 10],
    cpu: none,
    memory: none,
    util: [0.2, null, 0.6],
    utilMax: none,
    vram: none,
    power: none,
    running: none,
    ...more,
  };
}

describe("a history", () => {
  it("keeps its gaps, and stands in the middle of its buckets", () => {
    const grid = gridOf(history());
    expect(grid?.columns.util).toEqual([0.2, null, 0.6]);
    expect(grid?.times[0]).toBe(Date.parse("2026-11-24T00:00:00Z") / 1000 + 150);
  });

  it("draws only lines of which anything is known", () => {
    const grid = gridOf(history());
    const load = PLOTS[0];
    if (!grid || !load) throw new Error("there is no plot");
    expect(told(load, grid).map((line) => line.field)).toEqual(["util"]);
    expect(summary(load, grid)).toContain("GPU 20 % to 60 %, last 60 %");
    expect(summary(load, grid)).toContain("VRAM unknown");
  });

  it("is none where it makes no sense", () => {
    expect(gridOf(null)).toBeNull();
    expect(gridOf(history({ start: "soon" }))).toBeNull();
    expect(gridOf(history({ bucketSeconds: 0 }))).toBeNull();
    expect(gridOf({} as HistoryView)).toBeNull();
  });
});

describe("a chart that is open", () => {
  it("is drawn anew a little after each bucket, and never before the time is known", () => {
    const grid = gridOf(history());
    const start = Date.parse("2026-11-24T00:15:00Z");
    expect(untilNext(grid, start + 60_000)).toBe(240_000 + 5000);
    expect(untilNext(grid, 0)).toBeNull();
    expect(untilNext(null, start)).toBeNull();
  });
});

import { expect, test, vi } from "vitest";
import { BUSY_PERCENT, busyText, CELLS_MAX, cellsOf } from "../../src/fleet/gpus";
import { settings } from "../../src/fleet/settings";
import { apply } from "../../src/fleet/store";
import { sumUp } from "../../src/fleet/summing";
import { totals } from "../../src/fleet/totals";
import { row, summary, T0 } from "./make";

const GIB = 1024 ** 3;
const sum = (...rows: ReturnType<typeof row>[]) => sumUp(rows, T0, settings.peek());
const eight = { gpus: [{ model: "H100", count: 8 }], vramBytes: 640 * GIB };

vi.hoisted(() => vi.useFakeTimers());

test("an empty fleet has no figures, and none of them is zero by chance", () => {
  expect(sum()).toMatchObject({ nodes: 0, gpus: 0, vramBytes: null, power: null, running: null });
});

test("GPUs are busy from the same threshold as the API's, and unknown is neither", () => {
  const gpu: [number | null, null, null][] = [
    [BUSY_PERCENT, null, null],
    [4, null, null],
    [null, null, null],
  ];
  const one = row("a", { profile: { gpus: [{ model: "H100", count: 4 }] }, pulse: { gpu } });
  expect(sum(one)).toMatchObject({ gpus: 4, gpusBusy: 1, gpusIdle: 1, gpusUnknown: 2 });
  expect(sum(one).utilization).toBeCloseTo(0.045);
});

test("figures of nodes that are silent are in no sum, but what they have is", () => {
  const pulse = { gpu: Array(8).fill([50, 50, 0]), power: 500, running: 3 };
  const on = row("a", { profile: { ...eight, models: ["m"] }, pulse });
  const off = row("b", { state: "Offline", profile: { ...eight, models: ["n"] }, pulse });
  const late = row("c", {
    lastHeartbeat: new Date(T0 - 200_000).toISOString(),
    profile: eight,
    pulse,
  });
  expect(sum(on, off, late)).toMatchObject({
    nodes: 3,
    states: { Online: 2, Offline: 1 },
    gpus: 24,
    gpusBusy: 8,
    gpusUnknown: 16,
    vramBytes: 1920 * GIB,
    vramUsedBytes: 320 * GIB,
    vramKnownBytes: 640 * GIB,
    power: 500,
    models: 1,
    running: 3,
    waiting: null,
  });
});

test("memory in use counts only where it is known of each GPU of a node", () => {
  const gpu: [number, number | null, number][] = [
    [50, 50, 0],
    [50, null, 0],
  ];
  expect(sum(row("a", { profile: eight, pulse: { gpu } })).vramUsedBytes).toBeNull();
});

test("a node that was given up is counted by its state alone", () => {
  const gone = row("a", { state: "Decommissioned", profile: eight });
  expect(sum(gone)).toMatchObject({ nodes: 0, gpus: 0, states: { Decommissioned: 1 } });
});

test("sums are made at most four times a second", () => {
  apply([{ kind: "snapshot", rows: [summary("a")] }]);
  vi.advanceTimersByTime(1000);
  let before = totals.value;
  expect(before.nodes).toBe(1);
  let told = 0;
  for (let step = 0; step < 100; step += 1) {
    apply([{ kind: "node", delta: { id: `n${step}`, state: "Online" } }]);
    vi.advanceTimersByTime(10);
    if (totals.value !== before) told += 1;
    before = totals.value;
  }
  expect(told).toBeLessThanOrEqual(5);
  vi.advanceTimersByTime(250);
  expect(totals.value.nodes).toBe(101);
});

test("sums that are the same are the same object", () => {
  apply([{ kind: "snapshot", rows: [summary("a")] }]);
  vi.advanceTimersByTime(1000);
  const before = totals.value;
  apply([{ kind: "node", delta: { id: "a", state: "Online" } }]);
  vi.advanceTimersByTime(1000);
  expect(totals.value).toBe(before);
});

test("cells have a place for each GPU, and what is not known is null", () => {
  const pulse = {
    gpu: [
      [0, 100, 0],
      [97, null, 2],
      [null, 5, null],
    ] as [number, number, number][],
  };
  const cells = cellsOf(row("a", { profile: { gpus: [{ model: "H100", count: 4 }] }, pulse }));
  expect(cells).toEqual([
    { index: 0, util: 0, memory: 100, band: 0, mark: 0 },
    { index: 1, util: 97, memory: null, band: 4, mark: 2 },
    { index: 2, util: null, memory: 5, band: null, mark: null },
    { index: 3, util: null, memory: null, band: null, mark: null },
  ]);
});

test("the five bands begin where they are said to", () => {
  const bands = [0, 4, 5, 29, 30, 59, 60, 84, 85, 100].map(
    (util) => cellsOf(row("a", { pulse: { gpu: [[util, null, null]] } }))[0]?.band,
  );
  expect(bands).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
});

test("a count that no machine has fills no memory", () => {
  const profile = { gpus: [{ model: "H100", count: 1_000_000_000 }] };
  expect(cellsOf(row("a", { profile }))).toHaveLength(CELLS_MAX);
});

test("how busy a node is can be read", () => {
  const gpu = (...utils: (number | null)[]) => ({ gpu: utils.map((u) => [u, null, 0] as never) });
  expect(busyText(row("a", { pulse: gpu(90, 80, 0, 100) }))).toBe("3/4 busy, 68 %");
  expect(busyText(row("a", { pulse: gpu(90, null) }))).toBe("1/2 busy, 90 %, 1 unknown");
  expect(busyText(row("a", { pulse: gpu(null, null) }))).toBe("2 unknown");
  expect(busyText(row("a", { profile: { gpus: [] } }))).toBe("no GPUs");
  expect(busyText(row("a"))).toBe("unknown");
});

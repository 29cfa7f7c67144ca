import { expect, test } from "vitest";
import { extentOf, type Run, runsOf } from "../../src/nodes/windowing";

const covered = (runs: readonly Run[]) => runs.map(({ first, end }) => [first, end]);

test("what is in sight is drawn with some lines around, and no more", () => {
  const extent = extentOf({ top: 49_000, height: 900 }, 5000, 49);
  expect(extent.first).toBeLessThanOrEqual(1000);
  expect(extent.first).toBeGreaterThan(980);
  expect(extent.end).toBeGreaterThanOrEqual(1019);
  expect(extent.end - extent.first).toBeLessThan(45);
});

test("a pixel of scrolling moves no window", () => {
  const one = extentOf({ top: 5000, height: 900 }, 5000, 49);
  expect(extentOf({ top: 5001, height: 900 }, 5000, 49)).toEqual(one);
});

test("a list below the screen, or scrolled past, asks for no line that is not there", () => {
  for (const top of [-100_000, -900, 0, 1e9]) {
    const { first, end } = extentOf({ top, height: 900 }, 200, 49);
    expect(first).toBeGreaterThanOrEqual(0);
    expect(end).toBeLessThanOrEqual(200);
    expect(end).toBeGreaterThanOrEqual(first);
  }
});

test("runs cover each line once, in order", () => {
  for (const held of [null, 0, 39, 40, 60, 79, 80, 199, 500]) {
    const runs = runsOf({ first: 40, end: 80 }, 200, held);
    let at = 0;
    for (const run of runs) {
      expect(run.first).toBe(at);
      expect(run.end).toBeGreaterThan(run.first);
      at = run.end;
    }
    expect(at).toBe(200);
  }
});

test("the line with the focus is drawn wherever it lies", () => {
  const drawn = (held: number) =>
    covered(runsOf({ first: 40, end: 80 }, 200, held).filter((run) => run.drawn));
  expect(drawn(3)).toEqual([
    [3, 4],
    [40, 80],
  ]);
  expect(drawn(150)).toEqual([
    [40, 80],
    [150, 151],
  ]);
  expect(drawn(50)).toEqual([[40, 80]]);
});

test("an empty list has no runs", () => {
  expect(runsOf({ first: 0, end: 0 }, 0, null)).toEqual([]);
});

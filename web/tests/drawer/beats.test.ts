import { describe, expect, it } from "vitest";
import { beatsOf, SLOTS } from "../../src/drawer/beats";

const START = 1_795_480_000_000;

/** Arrivals after so many seconds each. */
function arriving(...gaps: number[]): [number, number | null][] {
  let at = START;
  return gaps.map((gap, nth) => {
    at += gap * 1000;
    return [at, nth + 1];
  });
}

function kinds(beats: unknown, nowMs: number | null = null, interval = 30): string[] {
  const { slots } = beatsOf(beats, interval, nowMs);
  return slots.filter((slot) => slot.kind !== "unknown").map((slot) => slot.kind);
}

describe("the strip of heartbeats", () => {
  it("has sixty slots whatever it is given", () => {
    for (const beats of [
      null,
      undefined,
      [],
      "x",
      [[1]],
      arriving(0),
      arriving(...Array(90).fill(30)),
    ]) {
      expect(beatsOf(beats, 30, null).slots).toHaveLength(SLOTS);
    }
  });

  it("knows nothing before the first arrival", () => {
    const { slots, onTime } = beatsOf(arriving(0, 30), 30, null);
    expect(slots.slice(0, SLOTS - 2).every((slot) => slot.kind === "unknown")).toBe(true);
    expect(onTime).toBe(2);
  });

  it("takes a little jitter for being on time", () => {
    expect(kinds(arriving(0, 29, 33, 36, 25))).toEqual(Array(5).fill("onTime"));
  });

  it("tells a late one", () => {
    expect(kinds(arriving(0, 47, 30))).toEqual(["onTime", "late", "onTime"]);
  });

  it("makes missed slots of gaps", () => {
    expect(kinds(arriving(0, 60))).toEqual(["onTime", "missed", "onTime"]);
    expect(kinds(arriving(0, 90))).toEqual(["onTime", "missed", "missed", "onTime"]);
  });

  it("says when a missed one was due", () => {
    const { slots } = beatsOf(arriving(0, 90), 30, null);
    expect(slots.at(-2)?.atMs).toBe(START + 60_000);
  });

  it("counts the silence since the last one, and nothing before it is overdue", () => {
    expect(kinds(arriving(0), START + 40_000)).toEqual(["onTime"]);
    expect(kinds(arriving(0), START + 55_000)).toEqual(["onTime", "missed"]);
    expect(kinds(arriving(0), START + 24 * 3_600_000)).toEqual(Array(SLOTS).fill("missed"));
  });

  it("counts a fault told besides the grid as no beat of its own", () => {
    expect(kinds(arriving(0, 4, 26, 30))).toEqual(["onTime", "onTime", "onTime"]);
  });

  it("goes by the node's own interval", () => {
    expect(kinds(arriving(0, 60, 60), null, 60)).toEqual(Array(3).fill("onTime"));
  });

  it("bears an interval that is none", () => {
    expect(kinds(arriving(0, 30), null, 0)).toEqual(["onTime", "onTime"]);
  });

  it("leaves aside what is no arrival, and puts the rest in order", () => {
    const beats = [[START + 30_000, 2], null, ["x", 1], [Number.NaN, 3], [START, null]];
    expect(kinds(beats)).toEqual(["onTime", "onTime"]);
  });
});

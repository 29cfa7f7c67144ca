import { beforeEach, expect, test, vi } from "vitest";

vi.hoisted(() => vi.useFakeTimers());

import { forgetClock, learn } from "../../src/fleet/clock";
import { apply } from "../../src/fleet/store";
import { sampleOf, trendOver } from "../../src/fleet/trend";
import { trendOf, wantTrends } from "../../src/fleet/trends";
import { linkSignal } from "../../src/live/link";
import { row, summary, T0 } from "./make";

const MINUTE = 60_000;
const NO_PAST = { startMs: 0, bucketMs: 1, endMs: 0, util: [], vram: [] };
const asked: string[] = [];
let answer: () => Response;

const iso = (ms: number) => new Date(ms).toISOString();
const beat = (id: string, ms: number, util: number) =>
  apply([{ kind: "node", delta: { id, seen: iso(ms), pulse: { gpu: [[util, 50, 0]] } } }]);

beforeEach(() => {
  vi.setSystemTime(T0);
  forgetClock();
  learn(iso(T0));
  asked.length = 0;
  linkSignal.value = { kind: "live" };
  answer = () => Response.json({ start: iso(T0 - 30 * MINUTE), bucketSeconds: 300, nodes: {} });
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    return answer();
  });
});

test("a bucket of the past is its mean, and where nobody spoke there is a gap", () => {
  const util = [0.1, null, 0.3, 0.4, 0.5, 0.6];
  const past = { startMs: T0 - 30 * MINUTE, bucketMs: 5 * MINUTE, endMs: T0, util, vram: util };
  const trend = trendOver(past, [], T0, 30);
  expect(trend.startMs).toBe(T0 - 30 * MINUTE);
  expect(trend.bucketSeconds).toBe(60);
  expect(trend.util).toEqual(util.flatMap((mean) => Array(5).fill(mean)));
});

test("the present comes with heartbeats, and silence leaves a gap", () => {
  const one = row("a", {
    pulse: {
      gpu: [
        [80, 50, 0],
        [null, null, 0],
        [40, 10, 0],
      ],
    },
  });
  const samples = [sampleOf(one, T0 - 3 * MINUTE), sampleOf(one, T0 + 1)];
  const { util, vram } = trendOver(NO_PAST, samples, T0 + 2, 30);
  expect(util.slice(-4)).toEqual([expect.closeTo(0.6), null, null, expect.closeTo(0.6)]);
  expect(vram.at(-1)).toBeCloseTo(0.3);
});

test("the minute of now is no gap while it is not over", () => {
  const one = row("a", { pulse: { gpu: [[80, 50, 0]] } });
  expect(trendOver(NO_PAST, [sampleOf(one, T0 - 1)], T0 + 1, 30).util.at(-1)).toBeCloseTo(0.8);
});

test("nodes that speak seldom have longer buckets and not gaps", () => {
  const trend = trendOver(NO_PAST, [], T0, 120);
  expect(trend.bucketSeconds).toBe(240);
  expect(trend.util).toHaveLength(7);
});

test("the past is asked for once nobody scrolls, at most fifty nodes at once", async () => {
  const many = Array.from({ length: 60 }, (_, n) => `s${n}`);
  wantTrends(["s0"]);
  await vi.advanceTimersByTimeAsync(100);
  wantTrends(many);
  await vi.advanceTimersByTimeAsync(149);
  expect(asked).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(50);
  expect(asked.map((path) => path.split(",").length)).toEqual([50, 10]);
});

test("an answer is good for five minutes", async () => {
  wantTrends(["k1"]);
  await vi.advanceTimersByTimeAsync(200);
  wantTrends(["k1"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(300_000);
  wantTrends(["k1"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(asked).toHaveLength(2);
});

test("the past and the present make one curve", async () => {
  apply([{ kind: "snapshot", rows: [summary("c1")] }]);
  const util = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
  answer = () =>
    Response.json({
      start: iso(T0 - 30 * MINUTE),
      bucketSeconds: 300,
      nodes: { c1: { util, vram: util } },
    });
  const trend = trendOf("c1");
  expect(trend.value).toBeUndefined();
  wantTrends(["c1"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(trend.value?.util).toHaveLength(30);
  expect(trend.value?.util.at(-1)).toBe(0.6);
  await vi.advanceTimersByTimeAsync(30_000);
  beat("c1", T0 + 30_000, 90);
  await vi.advanceTimersByTimeAsync(1000);
  expect(trend.value?.util.at(-1)).toBeCloseTo(0.9);
});

test("heartbeats that come too soon are left out", async () => {
  apply([{ kind: "snapshot", rows: [summary("f1")] }]);
  wantTrends(["f1"]);
  await vi.advanceTimersByTimeAsync(200);
  for (const [after, util] of [
    [40, 10],
    [45, 90],
    [50, 90],
  ] as const) {
    beat("f1", T0 + after * 1000, util);
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(trendOf("f1").value?.util.at(-1)).toBeCloseTo(0.1);
});

test("a question that failed is asked again later, and the present is shown without the past", async () => {
  apply([{ kind: "snapshot", rows: [summary("e1", { pulse: { gpu: [[70, 50, 0]] } })] }]);
  answer = () => new Response("<html>", { status: 502 });
  wantTrends(["e1"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(trendOf("e1").value?.util.at(-1)).toBeCloseTo(0.7);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(31_000);
  wantTrends(["e1"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(asked).toHaveLength(2);
});

test("odd answers and odd ids spoil nothing", async () => {
  answer = () => Response.json({ start: 5, bucketSeconds: "x", nodes: { o1: null } });
  wantTrends(["o1", "a,b", "../x", "x".repeat(100)]);
  await vi.advanceTimersByTimeAsync(200);
  expect(asked).toEqual(["/api/fabric/trends?nodes=o1"]);
  expect(trendOf("o1").value?.util.every((value) => value === null)).toBe(true);
});

test("nothing is asked while the page is paused", async () => {
  linkSignal.value = { kind: "paused" };
  wantTrends(["p1"]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toHaveLength(0);
});

import { beforeEach, expect, test } from "vitest";
import { settings } from "../../src/fleet/settings";
import { ageSeconds, trust } from "../../src/fleet/staleness";
import { type Feed, feedSignal } from "../../src/live/link";
import { row, T0 } from "./make";

const NONE: Feed = { asOfMs: null, lag: null, stale: false, reason: null, lastWordMs: null };
const MINUTE = 60_000;
const node = row("a");
const judge = (one = node, nowMs = T0) => trust(one, nowMs, settings.peek());

beforeEach(() => {
  feedSignal.value = NONE;
});

test("ages are told by the server's clock and never below zero", () => {
  expect(ageSeconds(node, T0 + 12_000)).toBe(12);
  expect(ageSeconds(node, T0 - 5000)).toBe(0);
  expect(ageSeconds(node, 0)).toBeNull();
  expect(ageSeconds(row("b", { lastHeartbeat: null }), T0)).toBeNull();
});

test("a node is fresh for an interval and its slack, then old, then last known", () => {
  expect(judge(node, T0 + 33_000)).toBe("fresh");
  expect(judge(node, T0 + 33_001)).toBe("old");
  expect(judge(node, T0 + 100_000)).toBe("old");
  expect(judge(node, T0 + 100_001)).toBe("lastKnown");
});

test("a node that is Offline has last known figures, and one that never spoke has none", () => {
  expect(judge(row("a", { state: "Offline" }))).toBe("lastKnown");
  expect(judge(row("a", { state: "Unknown", lastHeartbeat: null }))).toBe("never");
  expect(judge(row("a", { state: "Online", lastHeartbeat: "nonsense" }))).toBe("never");
});

test("nobody is old before the server's clock is known", () => {
  expect(judge(node, 0)).toBe("fresh");
});

test("while ingest stands still ages stand still, and rows are dimmed but not struck", () => {
  const asOfMs = T0 + 10_000;
  const nowMs = T0 + 14 * MINUTE;
  feedSignal.value = { ...NONE, asOfMs, lag: 14 * 60 - 10, lastWordMs: nowMs };
  expect(ageSeconds(node, nowMs)).toBe(10);
  expect(judge(node, nowMs)).toBe("old");
});

test("while Redis cannot be read rows are dimmed but not struck", () => {
  const nowMs = T0 + 14 * MINUTE;
  feedSignal.value = { ...NONE, asOfMs: T0 + 5000, stale: true, lastWordMs: nowMs };
  expect(judge(node, nowMs)).toBe("old");
});

test("a lag of a few seconds is none", () => {
  feedSignal.value = { ...NONE, asOfMs: T0, lag: 6, lastWordMs: T0 + 6000 };
  expect(ageSeconds(node, T0 + 20_000)).toBe(20);
  expect(judge(node, T0 + 20_000)).toBe("fresh");
});

test("while the server itself is not heard rows grow old, and none is struck for it", () => {
  feedSignal.value = { ...NONE, lastWordMs: T0 + 1000 };
  const nowMs = T0 + 14 * MINUTE;
  expect(ageSeconds(node, nowMs)).toBe(840);
  expect(judge(node, nowMs)).toBe("old");
});

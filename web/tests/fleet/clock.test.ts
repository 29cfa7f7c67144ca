import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  doubtful,
  forgetClock,
  learn,
  now,
  serverNow,
  skewSeconds,
  startClock,
} from "../../src/fleet/clock";

const SAID = "2026-11-24T03:00:00.000Z";
const AT = Date.parse(SAID);

beforeEach(() => {
  vi.useFakeTimers({ now: AT });
  forgetClock();
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("until the server spoke its clock is not known", () => {
  expect([now.value, serverNow(), skewSeconds()]).toEqual([0, null, null]);
  learn(null);
  learn("no date");
  expect(serverNow()).toBeNull();
});

test("the clock ticks each second from what the server said", () => {
  const stop = startClock();
  learn(SAID);
  vi.advanceTimersByTime(3000);
  expect(now.value).toBe(AT + 3000);
  stop();
  vi.advanceTimersByTime(3000);
  expect(now.value).toBe(AT + 3000);
});

test("a browser's clock that jumps moves no age, and makes the page ask anew", () => {
  learn(SAID);
  const real = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => real() + 3_600_000);
  vi.advanceTimersByTime(1000);
  expect(serverNow()).toBe(AT + 1000);
  expect(skewSeconds()).toBe(3600);
  expect(doubtful()).toBe(true);
  learn("2026-11-24T03:00:01.000Z");
  expect(doubtful()).toBe(false);
});

test("a stopwatch that stood still while the machine slept is set right by the next word", () => {
  learn(SAID);
  const stopwatch = performance.now();
  vi.advanceTimersByTime(600_000);
  vi.spyOn(performance, "now").mockReturnValue(stopwatch);
  expect(doubtful()).toBe(true);
  learn("2026-11-24T03:10:00.000Z");
  expect(serverNow()).toBe(AT + 600_000);
  expect(doubtful()).toBe(false);
});

test("a word that was late by its way turns no age back", () => {
  learn(SAID);
  vi.advanceTimersByTime(15_900);
  learn("2026-11-24T03:00:15.000Z");
  expect(serverNow()).toBe(AT + 15_900);
  learn("2026-11-24T03:00:16.000Z");
  expect(serverNow()).toBe(AT + 16_000);
});

test("a server that set its clock back is believed", () => {
  learn(SAID);
  learn("2026-11-24T02:00:00.000Z");
  expect(serverNow()).toBe(AT - 3_600_000);
});

test("an HTTP date will do", () => {
  learn("Tue, 24 Nov 2026 03:00:00 GMT");
  expect(serverNow()).toBe(AT);
});

import { expect, test, vi } from "vitest";
import { Frame } from "../../src/live/frame";
import { pauseMs, wait } from "../../src/live/pause";

test("pauses double up to 30 s, half of each by chance", () => {
  expect([1, 2, 3, 5, 6, 60].map((n) => pauseMs(n, null, () => 1))).toEqual([
    1000, 2000, 4000, 16_000, 30_000, 30_000,
  ]);
  expect(pauseMs(6, null, () => 0)).toBe(15_000);
  expect(pauseMs(0, null, () => 0)).toBe(500);
});

test("what the server asks for is the least, and ten minutes the most", () => {
  expect(pauseMs(1, 5000, () => 1)).toBe(5000);
  expect(pauseMs(6, 5000, () => 1)).toBe(30_000);
  expect(pauseMs(1, 86_400_000, () => 1)).toBe(600_000);
});

test("a wait ends by its time or early, and leaves nothing behind", async () => {
  vi.useFakeTimers();
  const early = new AbortController();
  const long = wait(1000, early.signal);
  const short = wait(10, early.signal);
  vi.advanceTimersByTime(10);
  early.abort();
  expect(await Promise.all([long, short])).toEqual(["early", "over"]);
  expect(vi.getTimerCount()).toBe(0);
  expect(await wait(1000, early.signal)).toBe("early");
  vi.useRealTimers();
});

test("work is done once a frame, however often it is asked for, and without frames soon", () => {
  vi.useFakeTimers();
  let done = 0;
  const frame = new Frame(() => {
    done += 1;
  });
  vi.stubGlobal("requestAnimationFrame", (work: () => void) => setTimeout(work, 16));
  vi.stubGlobal("cancelAnimationFrame", clearTimeout);
  for (let n = 0; n < 100; n += 1) frame.ask();
  vi.advanceTimersByTime(1000);
  expect(done).toBe(1);
  vi.stubGlobal("requestAnimationFrame", () => 0);
  frame.ask();
  vi.advanceTimersByTime(250);
  expect(done).toBe(2);
  frame.ask();
  frame.cancel();
  vi.advanceTimersByTime(1000);
  expect(done).toBe(2);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

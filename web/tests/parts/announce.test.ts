import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { announce, announced, sentence } from "../../src/parts/announce";

beforeAll(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.advanceTimersByTime(20_000);
});

afterAll(() => {
  vi.useRealTimers();
});

test("what comes together is said together, and of a topic the latest alone", () => {
  announce("1 node", "result");
  announce("2 nodes", "result");
  announce("Copied");
  vi.advanceTimersByTime(500);
  expect(announced.value.trim()).toBe("2 nodes. Copied");
});

test("a second sentence waits until the first can be over", () => {
  announce("first");
  vi.advanceTimersByTime(500);
  announce("second");
  vi.advanceTimersByTime(2000);
  expect(announced.value.trim()).toBe("first");
  vi.advanceTimersByTime(4000);
  expect(announced.value.trim()).toBe("second");
});

test("the same words again are said again", () => {
  announce("Copied");
  vi.advanceTimersByTime(5000);
  const before = announced.value;
  announce("Copied");
  vi.advanceTimersByTime(5000);
  expect(announced.value).not.toBe(before);
  expect(announced.value.trim()).toBe("Copied");
});

test("more than three sentences are counted, not read out", () => {
  expect(sentence(["a", "b", "c", "d", "e"])).toBe("a. b. c. 2 more");
});

import { effect } from "@preact/signals";
import { beforeEach, expect, test, vi } from "vitest";
import { leastMoves } from "../../src/fleet/moving";
import { moved, reorder, visible } from "../../src/fleet/order";
import { apply, type Change } from "../../src/fleet/store";
import { go } from "../../src/url";
import { type Part, summary } from "./make";

const shown = () => visible.value.join(" ");
const beat = (id: string, util: number): Change => ({
  kind: "node",
  delta: { id, pulse: { gpu: [[util, null, 0]] } },
});
const fleet = (nodes: Record<string, Part>) =>
  apply([{ kind: "snapshot", rows: Object.entries(nodes).map(([id, part]) => summary(id, part)) }]);
const busy = (util: number): Part => ({ pulse: { gpu: [[util, null, 0]] } });

vi.hoisted(() => vi.useFakeTimers());

beforeEach(() => {
  apply([{ kind: "snapshot", rows: [] }]);
  go({ q: "", state: "", model: "", gpu: "", sort: "" }, "replace");
  vi.runAllTimers();
});

test("what needs attention comes first, then by name, whatever its case", () => {
  fleet({
    b: {},
    a: { profile: { name: "Zed" } },
    c: { state: "Offline" },
    d: { state: "Degraded" },
    e: { state: "Frozen" },
    f: { state: "Stale" },
    g: { state: "Draining" },
  });
  expect(shown()).toBe("c d f e g b a");
});

test("a heartbeat moves no row, but how many would move is told", () => {
  go({ sort: "-util" }, "replace");
  fleet({ a: busy(90), b: busy(50), c: busy(10) });
  const before = visible.value;
  apply([beat("c", 95)]);
  vi.advanceTimersByTime(1000);
  expect(visible.value).toBe(before);
  expect(moved.value).toBe(1);
  reorder();
  expect(shown()).toBe("c a b");
  expect(moved.value).toBe(0);
});

test("a change of state takes its row to its place and leaves all others", () => {
  fleet({ a: {}, b: {}, c: {} });
  apply([{ kind: "node", delta: { id: "c", state: "Offline" } }]);
  expect(shown()).toBe("c a b");
  apply([{ kind: "node", delta: { id: "c", state: "Online" } }]);
  expect(shown()).toBe("a b c");
});

test("a change of state moves no row in an order that follows something else", () => {
  go({ sort: "-util" }, "replace");
  fleet({ a: busy(90), b: busy(50) });
  apply([beat("b", 99), { kind: "node", delta: { id: "b", state: "Degraded" } }]);
  expect(shown()).toBe("a b");
});

test("a row that came is put among those that stay, and one that went leaves them", () => {
  go({ sort: "util" }, "replace");
  fleet({ a: busy(10), b: busy(50) });
  apply([beat("a", 99), { kind: "node", delta: { id: "c", pulse: { gpu: [[30, null, 0]] } } }]);
  expect(shown()).toBe("a c b");
  apply([{ kind: "gone", id: "a" }]);
  expect(shown()).toBe("c b");
});

test("a snapshot after a cut leaves rows where they were", () => {
  go({ sort: "util" }, "replace");
  fleet({ a: busy(10), b: busy(50) });
  fleet({ a: busy(99), b: busy(50), c: busy(70) });
  expect(shown()).toBe("a b c");
});

test("what is asked for anew is made at once, with the figures of now", () => {
  fleet({ a: busy(10), b: busy(50) });
  go({ sort: "-util" }, "replace");
  expect(shown()).toBe("b a");
  go({ q: "a" }, "replace");
  expect(shown()).toBe("a");
});

test("a node leaves and enters a filtered list as its state changes", () => {
  go({ state: "Offline" }, "replace");
  fleet({ a: {}, b: { state: "Offline" } });
  expect(shown()).toBe("b");
  apply([{ kind: "node", delta: { id: "a", state: "Offline" } }]);
  apply([{ kind: "node", delta: { id: "b", state: "Online" } }]);
  expect(shown()).toBe("a");
});

test("what is not known comes last, either way round", () => {
  fleet({ a: {}, b: busy(50), c: busy(70) });
  go({ sort: "util" }, "replace");
  expect(shown()).toBe("b c a");
  go({ sort: "-util" }, "replace");
  expect(shown()).toBe("c b a");
});

test("versions are sorted by their numbers, and an order that there is not is attention", () => {
  fleet({ a: { profile: { agent: "1.10" } }, b: { profile: { agent: "1.9" } } });
  go({ sort: "agent" }, "replace");
  expect(shown()).toBe("b a");
  go({ sort: "constructor" }, "replace");
  expect(shown()).toBe("a b");
});

test("a drawer that opens makes no order anew", () => {
  go({ sort: "util" }, "replace");
  fleet({ a: busy(10), b: busy(50) });
  apply([beat("a", 99)]);
  go({ node: "a", part: "raw" });
  expect(shown()).toBe("a b");
  go({ node: "", part: "" });
});

test("many changes of state at once end in the same order as one after another", () => {
  const nodes = Array.from({ length: 200 }, (_, n) => `n${String(n).padStart(3, "0")}`);
  fleet(Object.fromEntries(nodes.map((id) => [id, {}])));
  const odd = nodes.filter((_, at) => at % 2);
  apply(odd.map((id) => ({ kind: "node", delta: { id, state: "Stale" } })));
  expect(visible.value).toEqual([...odd, ...nodes.filter((_, at) => at % 2 === 0)]);
});

test("a frame of heartbeats among five thousand nodes tells nobody of an order", () => {
  fleet(Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`n${n}`, {}])));
  let told = 0;
  const end = effect(() => {
    visible.value;
    told += 1;
  });
  apply(Array.from({ length: 33 }, (_, n) => beat(`n${n}`, n)));
  end();
  expect(told).toBe(1);
});

test("the least number of moves is counted, not the places that shift", () => {
  const compare = (one: number, other: number) => one - other;
  expect(leastMoves([], compare)).toBe(0);
  expect(leastMoves([1, 2, 3, 4], compare)).toBe(0);
  expect(leastMoves([4, 1, 2, 3], compare)).toBe(1);
  expect(leastMoves([4, 3, 2, 1], compare)).toBe(3);
});

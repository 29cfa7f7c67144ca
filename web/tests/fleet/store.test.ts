import { effect } from "@preact/signals";
import { beforeEach, expect, test } from "vitest";
import type { NodeState } from "../../src/api/types";
import {
  allRows,
  apply,
  changes,
  EVENTS_KEPT,
  freshEvents,
  nodeSignal,
  onShape,
  rowNow,
  shape,
} from "../../src/fleet/store";
import { summary } from "./make";

const ids = () => allRows().map((row) => row.id);

beforeEach(() => apply([{ kind: "snapshot", rows: [] }]));

test("a snapshot replaces all rows", () => {
  apply([{ kind: "snapshot", rows: [summary("a"), summary("b")] }]);
  apply([{ kind: "snapshot", rows: [summary("b"), summary("c")] }]);
  expect(ids().sort()).toEqual(["b", "c"]);
  expect(nodeSignal("a")).toBeUndefined();
});

test("a row that is in the next snapshot keeps its signal", () => {
  apply([{ kind: "snapshot", rows: [summary("a")] }]);
  const before = nodeSignal("a");
  apply([{ kind: "snapshot", rows: [summary("a", { state: "Stale" })] }]);
  expect(nodeSignal("a")).toBe(before);
  expect(before?.peek().state).toBe("Stale");
});

test("a reason goes with the state that brought it, and what is left out stays", () => {
  const profile = { name: "one", agent: "1.0" };
  apply([{ kind: "snapshot", rows: [summary("a", { profile, pulse: { cpu: 0.5 } })] }]);
  apply([{ kind: "node", delta: { id: "a", state: "Stale", reason: "HeartbeatLate" } }]);
  expect(rowNow("a")).toMatchObject({ state: "Stale", reason: "HeartbeatLate", profile });
  apply([{ kind: "node", delta: { id: "a", pulse: { cpu: 0.7 } } }]);
  expect(rowNow("a")).toMatchObject({ reason: "HeartbeatLate", pulse: { cpu: 0.7 } });
  apply([{ kind: "node", delta: { id: "a", state: "Online" } }]);
  expect(rowNow("a")).toMatchObject({
    state: "Online",
    reason: null,
    pulse: { cpu: 0.7 },
    profile,
  });
});

test("the sentence of a state ends with it and stays while the same is said again", () => {
  const said = { state: "Degraded", reason: "GPULost", message: "GPU 3 is lost" };
  apply([{ kind: "snapshot", rows: [summary("a", said)] }]);
  const again = { id: "a", state: "Degraded" as NodeState, reason: "GPULost" };
  apply([{ kind: "node", delta: again }]);
  expect(rowNow("a")?.message).toBe("GPU 3 is lost");
  apply([{ kind: "node", delta: { ...again, reason: "XID" } }]);
  expect(rowNow("a")?.message).toBeNull();
});

test("an id that nobody has heard of is kept as a row without a name until one comes", () => {
  apply([{ kind: "node", delta: { id: "new", state: "Online", pulse: { cpu: 0.1 } } }]);
  expect(rowNow("new")).toMatchObject({ state: "Online", profile: { name: "new" } });
  apply([{ kind: "node", delta: { id: "new", profile: { name: "named" } } }]);
  expect(rowNow("new")).toMatchObject({ profile: { name: "named" }, pulse: { cpu: 0.1 } });
});

test("a delta that repeats what a snapshot has changes nothing", () => {
  const seen = "2026-11-24T03:00:00Z";
  apply([{ kind: "snapshot", rows: [summary("a", { state: "Stale", reason: "HeartbeatLate" })] }]);
  const before = rowNow("a");
  apply([{ kind: "node", delta: { id: "a", state: "Stale", reason: "HeartbeatLate", seen } }]);
  expect(rowNow("a")).toEqual(before);
});

test("a node that went and came back has nothing of the one that went", () => {
  apply([{ kind: "snapshot", rows: [summary("a", { pulse: { cpu: 0.5 } })] }]);
  apply([
    { kind: "gone", id: "a" },
    { kind: "node", delta: { id: "a", state: "Online" } },
  ]);
  expect(rowNow("a")?.pulse).toEqual({});
});

test("the going of a node that is not there is no change of shape", () => {
  const before = shape.peek();
  apply([{ kind: "gone", id: "nobody" }]);
  expect(shape.peek()).toBe(before);
});

test("a heartbeat redraws its own row alone and changes no shape", () => {
  apply([{ kind: "snapshot", rows: [summary("a"), summary("b")] }]);
  const drawn = { a: 0, b: 0 };
  const ends = (["a", "b"] as const).map((id) =>
    effect(() => {
      nodeSignal(id)?.value;
      drawn[id] += 1;
    }),
  );
  const before = shape.peek();
  apply([{ kind: "node", delta: { id: "a", state: "Online", pulse: { cpu: 0.2 } } }]);
  expect(drawn).toEqual({ a: 2, b: 1 });
  expect(shape.peek()).toBe(before);
  for (const end of ends) end();
});

test("many changes are one change to those who look", () => {
  const seen: number[] = [];
  const end = effect(() => {
    seen.push(changes.value);
  });
  apply(Array.from({ length: 100 }, (_, n) => ({ kind: "node", delta: { id: `n${n}` } })));
  expect(seen).toHaveLength(2);
  end();
});

test("listeners are told which nodes came, went or changed their state or profile", () => {
  apply([{ kind: "snapshot", rows: [summary("a"), summary("b"), summary("c")] }]);
  const told: (string[] | null)[] = [];
  const end = onShape((touched) => told.push(touched && [...touched]));
  apply([
    { kind: "node", delta: { id: "a", pulse: { cpu: 1 } } },
    { kind: "node", delta: { id: "b", state: "Offline" } },
    { kind: "gone", id: "c" },
  ]);
  apply([{ kind: "node", delta: { id: "a", pulse: { cpu: 0.5 } } }]);
  apply([{ kind: "snapshot", rows: [] }]);
  end();
  expect(told).toEqual([["b", "c"], null]);
});

test("the latest events are kept, the newest first", () => {
  const event = (id: number) => ({
    kind: "event" as const,
    event: {
      id: `${id}`,
      time: "",
      node: "a",
      kind: "node" as const,
      reason: "",
      message: "",
      count: 1,
    },
  });
  apply(Array.from({ length: EVENTS_KEPT + 5 }, (_, id) => event(id)) as never);
  expect(freshEvents.peek()).toHaveLength(EVENTS_KEPT);
  expect(freshEvents.peek()[0]?.id).toBe(`${EVENTS_KEPT + 4}`);
});

test("five thousand nodes are taken in at once", () => {
  const rows = Array.from({ length: 5000 }, (_, n) => summary(`n${n}`));
  apply([{ kind: "snapshot", rows }]);
  expect(allRows()).toHaveLength(5000);
});

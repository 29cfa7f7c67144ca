import { beforeEach, expect, test } from "vitest";
import { allRows, apply } from "../../src/fleet/store";
import { Inbox, sum } from "../../src/live/inbox";
import {
  ID_MAX,
  malformed,
  readDelta,
  readEvent,
  readGone,
  readJson,
  readRow,
  readRows,
  readTime,
} from "../../src/live/messages";
import { summary } from "../fleet/make";

const ODD: unknown[] = [
  undefined,
  null,
  0,
  Number.NaN,
  true,
  "text",
  "x".repeat(10_000),
  [],
  [null],
  {},
  { id: null },
  { id: 5 },
  { id: "" },
  { id: "x".repeat(ID_MAX + 1) },
  { id: {} },
];

beforeEach(() => apply([{ kind: "snapshot", rows: [] }]));

test("what has no id is nothing, is counted, and throws nothing", () => {
  for (const read of [readRow, readDelta, readGone, readEvent, readTime]) {
    for (const odd of ODD) {
      const before = malformed.value;
      expect(read(odd)).toBeNull();
      expect(malformed.value).toBe(before + 1);
    }
  }
});

test("text that is no JSON is counted", () => {
  const before = malformed.value;
  expect(readJson('{"half":')).toBeUndefined();
  expect(malformed.value).toBe(before + 1);
});

test("rows that are odd are left out, and the others stay", () => {
  expect(readRows([summary("a"), null, { id: 5 }, summary("b")])?.map(({ id }) => id)).toEqual([
    "a",
    "b",
  ]);
  expect(readRows({ rows: [] })).toBeNull();
});

test("each field that is of another kind is as if nobody had said it", () => {
  for (const odd of [5, "x", true, [], [[]], {}, null, Number.NaN]) {
    const row = readRow({
      id: "a",
      state: odd,
      reason: odd,
      since: odd,
      lastHeartbeat: odd,
      labels: odd,
      pulse: odd,
      profile: odd,
    });
    expect(row?.id).toBe("a");
    expect(typeof row?.state).toBe("string");
    expect(row?.profile.name).toBe("a");
    expect(row?.pulse).toEqual({});
  }
});

test("a state that nobody has heard of is kept as it is", () => {
  expect(readRow({ id: "a", state: "Frozen" })?.state).toBe("Frozen");
  expect(readRow({ id: "a" })?.state).toBe("Unknown");
  expect(readRow({ id: "a", state: "x".repeat(10_000) })?.state.length).toBeLessThan(100);
});

test("GPUs keep their places whatever is said of one", () => {
  const gpu = [
    [50, 60, 0],
    null,
    "x",
    [],
    [101, -1, 7],
    [Number.POSITIVE_INFINITY, "5", 1.5],
    [1, 2, 3, 4],
    {},
  ];
  expect(readRow({ id: "a", pulse: { gpu } })?.pulse.gpu).toEqual([
    [50, 60, 0],
    [null, null, null],
    [null, null, null],
    [null, null, null],
    [100, null, null],
    [null, null, null],
    [1, 2, null],
    [null, null, null],
  ]);
  expect(readRow({ id: "a", pulse: { gpu: "8" } })?.pulse.gpu).toBeUndefined();
  expect(
    readRow({ id: "a", pulse: { gpu: Array(100_000).fill([1, 1, 0]) } })?.pulse.gpu,
  ).toHaveLength(64);
});

test("what a node says it is has bounds, too", () => {
  const long = "m".repeat(10_000);
  const row = readRow({
    id: "a",
    reason: long,
    profile: {
      name: long,
      models: [long, 5, ...Array(1000).fill("m")],
      gpus: [{ model: long, count: 8 }, { model: "x", count: -1 }, { count: 2 }, null],
      services: 1.5,
      vramBytes: "many",
    },
  });
  expect(row?.reason).toHaveLength(1024);
  expect(row?.profile.name).toHaveLength(1024);
  expect(row?.profile.models?.length).toBeLessThanOrEqual(256);
  expect(row?.profile.gpus?.map(({ count }) => count)).toEqual([8, 2]);
  expect(row?.profile).not.toHaveProperty("services");
  expect(row?.profile).not.toHaveProperty("vramBytes");
});

test("a text is never cut through an emoji", () => {
  const name =
    readRow({ id: "a", profile: { name: `${"x".repeat(1022)}😀😀` } })?.profile.name ?? "";
  expect(() => encodeURIComponent(name)).not.toThrow();
  expect(name.length).toBeLessThanOrEqual(1024);
});

test("a label may be called what it likes", () => {
  const row = readRow(JSON.parse('{"id":"a","labels":{"__proto__":"x","constructor":"y","n":5}}'));
  expect(Object.entries(row?.labels ?? {})).toEqual([
    ["__proto__", "x"],
    ["constructor", "y"],
  ]);
});

test("null in a delta is left out and undoes nothing", () => {
  expect(readDelta({ id: "a", pulse: null, profile: null, state: null, seen: "soon" })).toEqual({
    id: "a",
  });
});

test("odd deltas poison nothing that is there", () => {
  apply([{ kind: "snapshot", rows: [summary("a", { pulse: { cpu: 0.5 } })] }]);
  const before = allRows();
  for (const odd of [...ODD, { id: "a" }, { id: "a", pulse: 5 }, { id: "a", state: 7, gpu: [] }]) {
    const delta = readDelta(odd);
    if (delta) apply([{ kind: "node", delta }]);
  }
  expect(allRows()).toEqual(before);
});

test("an event is read as it was sent", () => {
  const event = { id: "7", time: "2026-11-24T03:00:00Z", node: "a", kind: "xid", reason: "XID79" };
  expect(readEvent({ type: "event", id: "a", event })).toMatchObject({
    ...event,
    message: "",
    count: 1,
  });
  expect(readEvent({ id: "a", event: { ...event, time: "x" } })).toBeNull();
});

test("the time says how far ingest is, where that is known", () => {
  const now = "2026-11-24T03:00:00.5Z";
  expect(readTime({ now, stale: false })).toEqual({
    now,
    stale: false,
    reason: null,
    asOfMs: null,
    lag: null,
  });
  expect(readTime({ now, stale: "yes", asOf: now, lag: -1 })).toMatchObject({
    stale: false,
    lag: null,
  });
  expect(readTime({ now, asOf: now, lag: 0.5 })).toMatchObject({
    asOfMs: Date.parse(now),
    lag: 0.5,
  });
});

test("two deltas of one node become the one that does what both do", () => {
  const stale = { id: "a", state: "Stale", reason: "HeartbeatLate" } as const;
  expect(sum(stale, { id: "a", pulse: { cpu: 1 } })).toEqual({ ...stale, pulse: { cpu: 1 } });
  expect(sum(stale, { id: "a", state: "Online" })).toEqual({ id: "a", state: "Online" });
  expect(sum({ id: "a", since: "x", pulse: {} }, { id: "a", state: "Online" })).toEqual({
    id: "a",
    since: "x",
    pulse: {},
    state: "Online",
  });
});

test("what waits for a frame is one change for each node, however many came", () => {
  const inbox = new Inbox();
  for (let n = 0; n < 10_000; n += 1) {
    inbox.put({ kind: "node", delta: { id: `n${n % 10}`, pulse: { cpu: n / 10_000 } } });
    inbox.put({ kind: "event", event: { id: `${n}` } as never });
  }
  expect(inbox.size).toBe(10 + 200);
  const changes = inbox.take();
  expect(changes[9]).toEqual({ kind: "node", delta: { id: "n9", pulse: { cpu: 0.9999 } } });
  expect(inbox.take()).toEqual([]);
});

test("a node that went while nobody looked is gone, and one that came back begins anew", () => {
  const inbox = new Inbox();
  inbox.put({ kind: "node", delta: { id: "a", state: "Stale" } });
  inbox.put({ kind: "gone", id: "a" });
  inbox.put({ kind: "gone", id: "b" });
  inbox.put({ kind: "node", delta: { id: "b", pulse: {} } });
  inbox.put({ kind: "node", delta: { id: "b", state: "Online" } });
  expect(inbox.take()).toEqual([
    { kind: "gone", id: "a" },
    { kind: "gone", id: "b" },
    { kind: "node", delta: { id: "b", pulse: {}, state: "Online" } },
  ]);
});

test("a snapshot forgets what waited before it", () => {
  const inbox = new Inbox();
  inbox.put({ kind: "node", delta: { id: "a" } });
  inbox.put({ kind: "snapshot", rows: [summary("b")] });
  inbox.put({ kind: "node", delta: { id: "b", state: "Stale" } });
  expect(inbox.take().map(({ kind }) => kind)).toEqual(["snapshot", "node"]);
});

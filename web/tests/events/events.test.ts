import { expect, test } from "vitest";
import type { FleetEvent } from "../../src/api/types";
import { lookOf } from "../../src/events/eventline";
import { ALL, filterOf, questionOf, soundNode, wanted, wordsOf } from "../../src/events/filter";
import { days, merged, unseen } from "../../src/events/list";
import { openNow } from "../../src/events/open";
import { rowOf } from "../../src/fleet/row";

function event(id: string, time: string, patch: Partial<FleetEvent> = {}): FleetEvent {
  return { id, time, node: "gpu-1", kind: "state", reason: "HeartbeatLate", ...patch };
}

const NOON = Date.parse("2026-11-24T12:00:00Z");

test("a filter survives the address", () => {
  const filter = {
    kinds: ["xid", "fault"],
    node: "gpu-1",
    reason: "GPUXid",
    since: "24h",
  } as const;
  expect(filterOf(wordsOf(filter))).toEqual({ ...filter, kinds: ["fault", "xid"] });
  expect(filterOf("kind:nonsense since:forever free words")).toEqual(ALL);
  expect(wordsOf(ALL)).toBe("");
});

test("the question names what is asked for and no more", () => {
  expect(questionOf(ALL, NOON, null)).toBe("/api/fabric/events/list?limit=100");
  const asked = new URL(
    questionOf({ kinds: ["xid"], node: "gpu-1", reason: "", since: "1h" }, NOON, "c"),
    "http://x",
  ).searchParams;
  expect(Object.fromEntries(asked)).toEqual({
    limit: "100",
    kind: "xid",
    node: "gpu-1",
    since: "2026-11-24T11:00:00.000Z",
    cursor: "c",
  });
});

test("an id that the API refuses is not asked for", () => {
  expect([soundNode(""), soundNode("gpu-1"), soundNode("<b>"), soundNode("x".repeat(65))]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("what came by the stream and by the list is shown once", () => {
  const one = event("s-1", "2026-11-24T11:00:00Z");
  const same = { ...one, id: "77" };
  const other = event("78", "2026-11-24T10:00:00Z");
  expect(merged([one], [same, other])).toHaveLength(2);
  expect(unseen([one], [same])).toHaveLength(0);
});

test("only those that fit the filter count as new", () => {
  const filter = { ...ALL, kinds: ["xid"] as const };
  expect(wanted(event("1", "", { kind: "xid" }), filter)).toBe(true);
  expect(wanted(event("1", "", { kind: "node" }), filter)).toBe(false);
});

test("events are parted by days, and one without a time has a place", () => {
  const local = (day: number, hour: number) => new Date(2026, 10, day, hour).toISOString();
  const list = [
    event("1", local(24, 9)),
    event("2", local(24, 8)),
    event("3", local(23, 9)),
    event("4", local(1, 9)),
    event("5", "soon"),
  ];
  const noon = new Date(2026, 10, 24, 12).getTime();
  const found = days(list, noon).map((day) => [day.name, day.events.length]);
  expect(found.slice(0, 2)).toEqual([
    ["Today", 2],
    ["Yesterday", 1],
  ]);
  expect(found[2]?.[0]).toContain("Nov 2026");
  expect(found[3]).toEqual(["At a time that nobody knows", 1]);
});

test("a change of state is as grave as the state, and a kind that nobody knows is dim", () => {
  expect(lookOf(event("1", "", { state: "Offline" }))[1]).toBe("bad");
  expect(lookOf(event("1", "", { kind: "xid" }))[1]).toBe("bad");
  expect(lookOf(event("1", "", { kind: "eclipse" as never }))[1]).toBe("dim");
});

test("what is wrong now begins with the gravest, the latest of them first", () => {
  const row = (id: string, state: string, since: string | null) =>
    rowOf({ id, state: state as never, since, profile: { name: id }, pulse: {} });
  const rows = [
    row("a", "Stale", "2026-11-24T11:00:00Z"),
    row("b", "Offline", "2026-11-24T10:00:00Z"),
    row("c", "Offline", "2026-11-24T11:30:00Z"),
    row("d", "Online", null),
    row("e", "Offline", null),
  ];
  expect(openNow(rows).map(({ id }) => id)).toEqual(["c", "b", "e", "a"]);
});

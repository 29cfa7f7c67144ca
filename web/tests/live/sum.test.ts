import { expect, test, vi } from "vitest";

vi.hoisted(() => vi.useFakeTimers());

import type { NodeState, NodeSummary } from "../../src/api/types";
import { reorder, visible } from "../../src/fleet/order";
import { matches, query } from "../../src/fleet/query";
import { allRows, apply, type Change } from "../../src/fleet/store";
import { Inbox } from "../../src/live/inbox";
import { go } from "../../src/url";
import { summary } from "../fleet/make";

const STATES: NodeState[] = ["Online", "Degraded", "Stale", "Offline", "Draining", "Unknown"];
const NODES = 40;
const ROUNDS = 40;

/** Chance that can be had again (mulberry32). */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  };
}

function rows(roll: (sides: number) => number): NodeSummary[] {
  const there = Array.from({ length: NODES }, (_, n) => n).filter(() => roll(3) > 0);
  return there.map((n) => summary(`n${n}`, { state: STATES[roll(6)] ?? "Unknown" }));
}

function change(roll: (sides: number) => number): Change {
  const id = `n${roll(NODES)}`;
  const kind = roll(100);
  if (kind === 0) return { kind: "snapshot", rows: rows(roll) };
  if (kind < 8) return { kind: "gone", id };
  const state = STATES[roll(6)] ?? "Unknown";
  return {
    kind: "node",
    delta: {
      id,
      ...(roll(2) && { state, ...(roll(2) && { reason: `R${roll(3)}` }) }),
      ...(roll(2) && { pulse: { gpu: [[roll(101), roll(101), 0] as [number, number, number]] } }),
      ...(roll(5) === 0 && { profile: { name: `name${roll(20)}`, agent: `1.${roll(12)}` } }),
      ...(roll(3) === 0 && { since: `2026-11-24T03:00:${10 + roll(50)}Z` }),
    },
  };
}

const snapshot = () =>
  allRows()
    .map((row) => ({ ...row }))
    .sort((one, other) => (one.id < other.id ? -1 : 1));

test("what came between two frames does the same as a sum and one by one", () => {
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    const changes = Array.from(
      { length: 200 },
      (
        (roll) => () =>
          change(roll)
      )(dice(seed)),
    );
    apply([{ kind: "snapshot", rows: [] }]);
    for (const one of changes) apply([one]);
    const expected = snapshot();
    apply([{ kind: "snapshot", rows: [] }]);
    const inbox = new Inbox();
    const roll = dice(seed + 1000);
    for (const one of changes) {
      inbox.put(one);
      if (roll(20) === 0) apply(inbox.take());
    }
    apply(inbox.take());
    expect(snapshot(), `seed ${seed}`).toEqual(expected);
  }
});

test("whatever happens, those are shown who match, each once, and reordering shows the same ones", () => {
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    const roll = dice(seed);
    const sort = ["", "-util", "name", "agent", "-state"][roll(5)] ?? "";
    const state = ["", "Offline,Stale", "Online"][roll(3)] ?? "";
    go({ sort, state, q: roll(3) === 0 ? "n1" : "" }, "replace");
    apply([{ kind: "snapshot", rows: rows(roll) }]);
    for (let frame = 0; frame < 30; frame += 1) {
      apply(Array.from({ length: 1 + roll(6) }, () => change(roll)));
      const wanted = allRows().filter((row) => matches(row, query.peek()));
      const shown = [...visible.value].sort();
      expect(shown, `seed ${seed}, frame ${frame}`).toEqual(wanted.map(({ id }) => id).sort());
    }
    const before = [...visible.value].sort();
    reorder();
    expect([...visible.value].sort()).toEqual(before);
  }
});

test("in the order by attention states are always in their order, whatever happens", () => {
  const rank = ["Offline", "Degraded", "Stale", "Unknown", "Draining", "Online", "Decommissioned"];
  go({ sort: "", state: "", q: "" }, "replace");
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    const roll = dice(seed);
    for (let frame = 0; frame < 30; frame += 1) {
      apply(Array.from({ length: 1 + roll(50) }, () => change(roll)));
      const states = new Map(allRows().map((row) => [row.id, rank.indexOf(row.state)]));
      const shown = visible.value.map((id) => states.get(id) ?? -1);
      expect(shown, `seed ${seed}, frame ${frame}`).toEqual([...shown].sort());
    }
  }
});

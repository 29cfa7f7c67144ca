/** All nodes of the org, each as a signal of its own, so that one that changed redraws alone. */

import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { FleetEvent, NodeState, NodeSummary, Profile, Pulse } from "../api/types";
import { dateOf } from "../units";
import { type Row, rowOf } from "./row";

/** What a stream says of one node: what is left out stays, but for `reason`, which goes with `state`. */
export interface NodeDelta {
  readonly id: string;
  readonly state?: NodeState | null;
  readonly reason?: string | null;
  readonly since?: string | null;
  readonly seen?: string | null;
  readonly pulse?: Pulse | null;
  readonly profile?: Profile | null;
}

export type Change =
  | { readonly kind: "snapshot"; readonly rows: readonly NodeSummary[] }
  | { readonly kind: "node"; readonly delta: NodeDelta }
  | { readonly kind: "gone"; readonly id: string }
  | { readonly kind: "event"; readonly event: FleetEvent };

export const EVENTS_KEPT = 200;
/** Events that came while the page was open; older ones are asked for. */

/** Hears which nodes came, went, or changed their state or profile; null: any of them. */
export type Shaped = (ids: ReadonlySet<string> | null) => void;

const nodes = new Map<string, Signal<Row>>();
/** Those that went with the present change: one that comes back with it is still being looked at. */
const left = new Map<string, Signal<Row>>();
const listeners = new Set<Shaped>();
const shapeCount = signal(0);
const changeCount = signal(0);
const fresh = signal<readonly FleetEvent[]>([]);

/** Counts up when nodes came or went, or one changed its state or profile. */
export const shape: ReadonlySignal<number> = shapeCount;

/** Counts up when anything changed; at most once a frame. */
export const changes: ReadonlySignal<number> = changeCount;

/** What happened while the page was open, the latest first. */
export const freshEvents: ReadonlySignal<readonly FleetEvent[]> = fresh;

/** Give one node as a signal; undefined if there is none. */
export function nodeSignal(id: string): ReadonlySignal<Row> | undefined {
  return nodes.get(id);
}

/** Give one node as it is now, whether it is there or not; depends on `shape` where it is not. */
export function rowNow(id: string): Row | undefined {
  const node = nodes.get(id);
  if (node) return node.value;
  shapeCount.value;
  return undefined;
}

/** How many nodes there are; reads no signal. */
export function nodeCount(): number {
  return nodes.size;
}

/** Be told, within the same change, which nodes `shape` counted; gives what ends it. */
export function onShape(listener: Shaped): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Give all nodes as they are now; reads no signal: depend on `shape` or `changes`. */
export function allRows(): Row[] {
  return Array.from(nodes.values(), (node) => node.peek());
}

/** Take changes in, in their order, as one change to those who look. */
export function apply(list: readonly Change[]): void {
  if (list.length === 0) return;
  batch(() => {
    const touched: Touched = { all: false, ids: new Set() };
    const events: FleetEvent[] = [];
    for (const change of list) one(change, touched, events);
    if (events.length) fresh.value = [...events.reverse(), ...fresh.peek()].slice(0, EVENTS_KEPT);
    if (touched.all || touched.ids.size) {
      shapeCount.value += 1;
      for (const listener of listeners) listener(touched.all ? null : touched.ids);
    }
    changeCount.value += 1;
    left.clear();
  });
}

/** Forget all of it: it was somebody's who is signed in no more. */
export function forgetFleet(): void {
  batch(() => {
    apply([{ kind: "snapshot", rows: [] }]);
    fresh.value = [];
  });
}

interface Touched {
  all: boolean;
  readonly ids: Set<string>;
}

function one(change: Change, touched: Touched, events: FleetEvent[]): void {
  switch (change.kind) {
    case "snapshot":
      replace(change.rows);
      touched.all = true;
      break;
    case "node":
      if (merge(change.delta)) touched.ids.add(change.delta.id);
      break;
    case "gone":
      if (leave(change.id)) touched.ids.add(change.id);
      break;
    case "event":
      events.push(change.event);
  }
}

function replace(rows: readonly NodeSummary[]): void {
  const kept = new Set(rows.map((row) => row.id));
  for (const id of nodes.keys()) if (!kept.has(id)) leave(id);
  for (const summary of rows) put(rowOf(summary));
}

function leave(id: string): boolean {
  const node = nodes.get(id);
  if (node) left.set(id, node);
  return nodes.delete(id);
}

function put(row: Row): void {
  const known = nodes.get(row.id) ?? left.get(row.id);
  if (known) known.value = row;
  nodes.set(row.id, known ?? signal(row));
}

/** Whether the node came, or changed its state or profile. */
function merge(delta: NodeDelta): boolean {
  const known = nodes.get(delta.id)?.peek();
  const before = known ?? unheard(delta.id);
  const next = after(before, delta);
  put(next);
  return !known || next.state !== before.state || next.profile !== before.profile;
}

function unheard(id: string): Row {
  return rowOf({ id, state: "Unknown", profile: { name: id }, pulse: {} });
}

function after(before: Row, delta: NodeDelta): Row {
  return {
    ...before,
    ...wordsAfter(before, delta),
    since: delta.since ?? before.since,
    seenMs: dateOf(delta.seen) ?? before.seenMs,
    profile: delta.profile ?? before.profile,
    pulse: delta.pulse ?? before.pulse,
  };
}

/** A state takes its reason along; the sentence is not sent and ends with the state. */
function wordsAfter(before: Row, delta: NodeDelta): Pick<Row, "state" | "reason" | "message"> {
  if (!delta.state)
    return { state: before.state, reason: delta.reason ?? before.reason, message: before.message };
  const same = delta.state === before.state && (delta.reason ?? null) === before.reason;
  return {
    state: delta.state,
    reason: delta.reason ?? null,
    message: same ? before.message : null,
  };
}

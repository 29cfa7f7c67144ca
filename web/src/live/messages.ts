/** Messages as the page takes them in: what is not as described is left out, and counted. */

import { type ReadonlySignal, signal } from "@preact/signals";
import type { FleetEvent, NodeState, NodeSummary } from "../api/types";
import type { NodeDelta } from "../fleet/store";
import { dateOf } from "../units";
import { given, isObject, momentText, nonNegative, text, unsigned } from "./guards";
import { profileOf, pulseOf } from "./readings";

export const ID_MAX = 256;
/** Longest name of a node, in characters: as the server bounds it. */

const STATE_MAX = 64;
/** Longest word for a state. */

const LABELS_MAX = 128;
/** Labels of one node. */

/** What the server's clock says, and how far ingest is. */
export interface TimeWord {
  readonly now: string;
  readonly stale: boolean;
  readonly reason: string | null;
  readonly asOfMs: number | null;
  readonly lag: number | null;
}

const refused = signal(0);

/** Messages and rows that could not be read since the page was opened. */
export const malformed: ReadonlySignal<number> = refused;

/** Read JSON; undefined, and counted, where it is none. */
export function readJson(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    refused.value += 1;
    return undefined;
  }
}

/** Read rows; odd ones are left out. Null: this is no list at all. */
export function readRows(value: unknown): NodeSummary[] | null {
  if (!Array.isArray(value)) return refuse();
  return value.map(readRow).filter((row) => row !== null);
}

/** Read one row; null: it has no id. */
export function readRow(value: unknown): NodeSummary | null {
  const id = idOf(value);
  if (id === null || !isObject(value)) return refuse();
  return {
    id,
    state: stateOf(value.state) ?? "Unknown",
    reason: text(value.reason),
    message: text(value.message),
    since: momentText(value.since),
    lastHeartbeat: momentText(value.lastHeartbeat),
    age: nonNegative(value.age),
    headscaleId: text(value.headscaleId),
    labels: labelsOf(value.labels),
    profile: profileOf(value.profile, id),
    pulse: pulseOf(value.pulse),
  };
}

/** Read a change of a node; null: it has no id. What is odd in it counts as left out. */
export function readDelta(value: unknown): NodeDelta | null {
  const id = idOf(value);
  if (id === null || !isObject(value)) return refuse();
  return {
    id,
    ...given("state", stateOf(value.state)),
    ...given("reason", text(value.reason)),
    ...given("since", momentText(value.since)),
    ...given("seen", momentText(value.seen)),
    ...given("pulse", isObject(value.pulse) ? pulseOf(value.pulse) : null),
    ...given("profile", isObject(value.profile) ? profileOf(value.profile, id) : null),
  };
}

/** Read whose going this is; null: nobody's. */
export function readGone(value: unknown): string | null {
  return idOf(value) ?? refuse();
}

/** Read what happened; null: it is no event. */
export function readEvent(value: unknown): FleetEvent | null {
  const event = isObject(value) ? value.event : null;
  if (!isObject(event)) return refuse();
  const [id, time, node] = [text(event.id), momentText(event.time), idOf({ id: event.node })];
  if (id === null || time === null || node === null) return refuse();
  return {
    id,
    time,
    node,
    kind: (text(event.kind, STATE_MAX) ?? "node") as FleetEvent["kind"],
    state: stateOf(event.state),
    before: stateOf(event.before),
    reason: text(event.reason) ?? "",
    message: text(event.message) ?? "",
    count: unsigned(event.count) ?? 1,
  };
}

/** Read the time; null: it does not say one. */
export function readTime(value: unknown): TimeWord | null {
  const now = isObject(value) ? momentText(value.now) : null;
  if (now === null || !isObject(value)) return refuse();
  return {
    now,
    stale: value.stale === true,
    reason: text(value.reason),
    asOfMs: dateOf(momentText(value.asOf)),
    lag: nonNegative(value.lag),
  };
}

function refuse(): null {
  refused.value += 1;
  return null;
}

function idOf(value: unknown): string | null {
  const id = isObject(value) ? value.id : null;
  return typeof id === "string" && id.length > 0 && id.length <= ID_MAX ? id : null;
}

/** A state that this page has not heard of is one all the same. */
function stateOf(value: unknown): NodeState | null {
  const name = text(value, STATE_MAX);
  return name ? (name as NodeState) : null;
}

function labelsOf(value: unknown): Record<string, string> | null {
  if (!isObject(value)) return null;
  const labels = Object.entries(value).slice(0, LABELS_MAX);
  // Defined one by one: a label called `__proto__` is a label.
  return Object.fromEntries(labels.flatMap(([key, word]) => labelOf(key, word)));
}

function labelOf(key: string, value: unknown): [string, string][] {
  const [name, word] = [text(key), text(value)];
  return name && word !== null ? [[name, word]] : [];
}

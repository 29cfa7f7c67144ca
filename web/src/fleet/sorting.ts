/** By what nodes are sorted. */

import { dateOf } from "../units";
import { busyOf, gpuCount } from "./gpus";
import { type Row, STATES } from "./row";
import { compareVersions } from "./version";

export type Value = string | number | null;

export interface Order {
  readonly name: string;
  /** What of a row counts; null: not known, and last either way round. */
  readonly value: (row: Row) => Value;
  readonly compare: (one: string | number, other: string | number) => number;
  /** The largest first. */
  readonly down: boolean;
  /** It follows what heartbeats bring. */
  readonly moves: boolean;
}

/** A row's place, as of the moment at which it was taken. */
export interface Key {
  readonly id: string;
  readonly value: Value;
  /** The rank of the state that it had. */
  readonly rank: number;
}

export const DEFAULT_SORT = "state";
/** What needs attention first. */

const UNHEARD_OF = STATES.indexOf("Unknown");

/** The rank of a state: what needs attention first; one that nobody has heard of is as Unknown. */
export function rankOf(state: string): number {
  const rank = (STATES as readonly string[]).indexOf(state);
  return rank < 0 ? UNHEARD_OF : rank;
}

/** What each order counts; the first nine are the API's own. */
const VALUES: Readonly<Record<string, (row: Row) => Value>> = {
  state: (row) => `${rankOf(row.state)}${nameOf(row)}`,
  name: nameOf,
  id: (row) => row.id,
  since: (row) => dateOf(row.since),
  gpus: gpuCount,
  vram: (row) => numeric(row.profile.vramBytes),
  memory: (row) => numeric(row.profile.memoryBytes),
  agent: (row) => row.profile.agent ?? null,
  models: (row) => row.profile.models?.length ?? null,
  seen: (row) => row.seenMs,
  util: (row) => busyOf(row).mean,
  used: usedMemory,
  cpu: (row) => numeric(row.pulse.cpu),
  ram: (row) => numeric(row.pulse.memory),
  disk: (row) => numeric(row.pulse.disk),
  power: (row) => numeric(row.pulse.power),
  running: (row) => numeric(row.pulse.running),
};

const MOVING = ["seen", "util", "used", "cpu", "ram", "disk", "power", "running"];

export const SORTS: readonly string[] = Object.keys(VALUES);
/** Names of the orders. */

/** Read `name`, or `-name` for the largest first; what is no order is the default. */
export function orderOf(text: string): Order {
  const down = text.startsWith("-");
  const name = down ? text.slice(1) : text;
  const value = Object.hasOwn(VALUES, name) ? VALUES[name] : undefined;
  if (!value) return orderOf(DEFAULT_SORT);
  const compare = name === "agent" ? byVersion : byValue;
  return { name, value, compare, down, moves: MOVING.includes(name) };
}

/** Take a row's key. */
export function keyOf(order: Order, row: Row): Key {
  return { id: row.id, value: order.value(row), rank: rankOf(row.state) };
}

/** Compare two keys: total, since no two have the same id. */
export function compareKeys(order: Order, one: Key, other: Key): number {
  if (one.value === null || other.value === null) {
    if (one.value !== null) return -1;
    if (other.value !== null) return 1;
    return byValue(one.id, other.id);
  }
  const difference = order.compare(one.value, other.value);
  if (difference !== 0) return order.down ? -difference : difference;
  return byValue(one.id, other.id);
}

function nameOf(row: Row): string {
  return row.profile.name.toLowerCase();
}

/** Mean use of the GPUs' memory, per cent. */
function usedMemory(row: Row): number | null {
  const known = (row.pulse.gpu ?? []).flatMap(([, memory]) => memory ?? []);
  return known.length ? known.reduce((sum, memory) => sum + memory, 0) / known.length : null;
}

function numeric(value: number | null | undefined): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** By code units, not by language: the same on every machine, as in the API. */
function byValue(one: string | number, other: string | number): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function byVersion(one: string | number, other: string | number): number {
  return compareVersions(String(one), String(other)) || byValue(one, other);
}

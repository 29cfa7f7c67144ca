/** What a node says now against what it said last: the figures that changed, readable. */

import { bytes, count, span } from "../units";
import { at, bag, LIST_MAX } from "./json";
import { innerOf } from "./status";

/** One figure; null stands for "not told". */
export interface Difference {
  /** As people read it, and as the status has it. */
  readonly path: string;
  readonly key: string;
  readonly cached: string | null;
  readonly live: string | null;
}

const DEPTH_MAX = 8;
/** Levels of a status; what lies deeper is no figure of ours. */

const FOUND_MAX = 2000;
/** Differences that are looked for at most: a hostile answer ends here. */

const SHOWN_MAX = 120;
/** Characters of a text. */

const ALWAYS_MOVING = new Set([
  "timestamp",
  "ts",
  "uptime_seconds",
  "host_uptime_seconds",
  "energy_joules",
  "age_seconds",
  "idle_seconds",
  "network_rx_bytes",
  "network_tx_bytes",
  "net_bytes",
  "stats",
]);
/** Clocks and counters that differ in every pair of answers and say nothing. */

const KEYS = ["index", "uuid", "name", "pid", "container_id", "xid", "device", "reason"] as const;
/** What tells the elements of a list apart, wherever they stand in it. */

/** Compare two statuses, in envelopes or bare; the order is that of the live one. */
export function differences(cached: unknown, live: unknown): Difference[] {
  const found: Difference[] = [];
  walk(innerOf(cached), innerOf(live), [], found);
  return found;
}

function walk(before: unknown, after: unknown, path: readonly string[], found: Difference[]): void {
  if (found.length >= FOUND_MAX || path.length > DEPTH_MAX) return;
  if (Array.isArray(before) || Array.isArray(after)) lists(before, after, path, found);
  else if (isBag(before) && isBag(after)) bags(before, after, path, found);
  else leaf(before, after, path, found);
}

function bags(before: unknown, after: unknown, path: readonly string[], found: Difference[]): void {
  const names = new Set([...Object.keys(bag(after)), ...Object.keys(bag(before))]);
  for (const name of names) {
    if (ALWAYS_MOVING.has(name)) continue;
    walk(at(before, name), at(after, name), [...path, name], found);
  }
}

function lists(before: unknown, after: unknown, path: readonly string[], found: Difference[]) {
  const [old, now] = [elements(before), elements(after)];
  if (old === null || now === null) {
    leaf(before, after, path, found);
    return;
  }
  for (const key of new Set([...now.keys(), ...old.keys()])) {
    walk(old.get(key), now.get(key), [...path.slice(0, -1), `${path.at(-1) ?? ""} ${key}`], found);
  }
}

/** The objects of a list by what names them; null for a list of plain values, or for none. */
function elements(list: unknown): Map<string, unknown> | null {
  if (list === undefined || list === null) return new Map();
  if (!Array.isArray(list)) return null;
  const found = new Map<string, unknown>();
  for (const [position, item] of list.slice(0, LIST_MAX).entries()) {
    if (!isBag(item)) return null;
    const name = nameOf(item) ?? String(position);
    found.set(found.has(name) ? `${name} (${position})` : name, item);
  }
  return found;
}

function nameOf(item: unknown): string | null {
  for (const key of KEYS) {
    const value = at(item, key);
    if (typeof value === "number" || (typeof value === "string" && value)) return clip(`${value}`);
  }
  return null;
}

function leaf(before: unknown, after: unknown, path: readonly string[], found: Difference[]): void {
  const key = path.at(-1) ?? "";
  const [cached, live] = [shown(before, key), shown(after, key)];
  // Alike to the eye is alike: a change in the fourth decimal is none.
  if (cached !== live) found.push({ path: pathText(path), key: path.join("."), cached, live });
}

const UNIT = /_(gb|mb|bytes|percent|pct|watts|celsius|mhz|ms|ms_p50|seconds)$/;

/** Say where a figure stands; its unit stands beside the value. */
function pathText(path: readonly string[]): string {
  return path.map(stepText).join(" · ");
}

/** One step: a key, and behind a space what tells an element of its list apart. */
function stepText(step: string): string {
  const end = step.indexOf(" ");
  const key = (end < 0 ? step : step.slice(0, end)).replace(UNIT, "").replaceAll("_", " ");
  const name = end < 0 ? "" : step.slice(end);
  return `${key === "gpu" ? "GPU" : key}${name}`;
}

function isBag(value: unknown): boolean {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function clip(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** A value in the unit that its key names. */
export function shown(value: unknown, key: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "number") return figure(value, key);
  if (typeof value === "string") return clip(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return composite(value);
}

function composite(value: unknown): string {
  if (!Array.isArray(value)) {
    const names = Object.keys(bag(value));
    return clip(names.length === 0 ? "{}" : `{${names.slice(0, 8).join(", ")}}`);
  }
  if (value.some((item) => item !== null && typeof item === "object")) return `[${value.length}]`;
  return value.length === 0 ? "[]" : clip(value.slice(0, 16).join(", "));
}

type Format = (value: number) => string;

const decimals = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

const UNITS: readonly (readonly [RegExp, Format])[] = [
  [/_gb$/, (value) => bytes(value * 1024 ** 3)],
  [/_mb$/, (value) => bytes(value * 1024 ** 2)],
  [/_bytes$/, (value) => bytes(value)],
  [/_(percent|pct)$/, (value) => (value === -1 ? "unknown" : `${decimals.format(value)} %`)],
  [/_watts$/, (value) => `${decimals.format(value)} W`],
  [/_celsius$/, (value) => `${decimals.format(value)} °C`],
  [/_mhz$/, (value) => `${count(value)} MHz`],
  [/(_ms|_ms_p50)$/, (value) => `${decimals.format(value)} ms`],
  [/_per_second$/, (value) => `${decimals.format(value)}/s`],
  [/_seconds$/, (value) => span(value)],
];

function figure(value: number, key: string): string {
  const unit = UNITS.find(([pattern]) => pattern.test(key));
  return unit ? unit[1](value) : decimals.format(value);
}

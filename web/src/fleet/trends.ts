/**
 * The last half hour of each node that is looked at: what a sparkline draws. The past is asked for
 * once, the present comes with the heartbeats.
 */

import { effect, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals";
import { ask } from "../api/http";
import { link } from "../live/link";
import { serverNow } from "./clock";
import { type Past, pastsOf } from "./pasts";
import { session } from "./session";
import { settings } from "./settings";
import { changes, nodeSignal } from "./store";
import { type Sample, SPAN_SECONDS, sampleOf, type Trend, trendOver } from "./trend";

export type { Trend } from "./trend";

const SETTLE_MS = 150;
/** Milliseconds for which nobody scrolled before the past is asked for. */

const KEEP_MS = 300_000;
/** How long an answer is good: one bucket. */

const AGAIN_MS = 30_000;
/** Pause after a question that failed. */

const LOOK_MS = 1000;
/** How often heartbeats are looked at. */

const ROLL_MS = 60_000;
/** How often curves move on though nothing came: one bucket. */

const APART_MS = 25_000;
/** Two figures of one node are at least so far apart. */

const KEPT_MS = (SPAN_SECONDS + 60) * 1000;
/** How long a figure is kept: as long as a curve can show it. */

const SAMPLES_MAX = 80;
/** Figures of one node, however close together its clock says they are. */

const NODES_MAX = 50;
/** Nodes of one question: the API takes 100, but an address of 6 kB not everybody. */

const KEPT_MAX = 200;
/** Nodes whose trends are kept: some screens full. Of one that comes back the past is asked for. */

const ID = /^[A-Za-z0-9._-]{1,64}$/;
/** What the API takes for a node's id; one that it does not would spoil the whole question. */

interface Entry {
  readonly trend: Signal<Trend | undefined>;
  past: Past | null;
  samples: readonly Sample[];
  /** When its past may be asked for again, by the page's stopwatch. */
  askAt: number;
}

const entries = new Map<string, Entry>();
let wanted: readonly string[] = [];
let settling: ReturnType<typeof setTimeout> | null = null;
let looking: ReturnType<typeof setTimeout> | null = null;
let asking = false;
let minute = 0;

/** A node's trend; undefined: not known yet. */
export function trendOf(id: string): ReadonlySignal<Trend | undefined> {
  return entryOf(id).trend;
}

/** Say which nodes are looked at: their past is asked for, once nobody scrolls. */
export function wantTrends(ids: readonly string[]): void {
  wanted = ids.slice(0, KEPT_MAX);
  for (const id of wanted) entryOf(id);
  if (settling !== null) clearTimeout(settling);
  settling = setTimeout(() => {
    settling = null;
    roll();
    void askPast();
  }, SETTLE_MS);
}

effect(() => {
  changes.value;
  if (looking === null) looking = setTimeout(look, LOOK_MS);
});

// What belonged to a session that is over stays nowhere.
effect(() => {
  if (session.value !== null) return;
  entries.clear();
  wanted = [];
});

function look(): void {
  looking = null;
  for (const [id, entry] of entries) {
    if (append(id, entry)) show(entry);
  }
  const present = Math.floor((serverNow() ?? 0) / ROLL_MS);
  if (present !== minute) roll();
  minute = present;
  if (settling === null) void askPast();
}

/** Time goes on for those who say nothing, too. */
function roll(): void {
  for (const id of wanted) show(entryOf(id));
}

function entryOf(id: string): Entry {
  const known = entries.get(id);
  if (known) return known;
  const entry: Entry = { trend: signal(undefined), past: null, samples: [], askAt: 0 };
  entries.set(id, entry);
  if (entries.size > KEPT_MAX) forgetOldest();
  return entry;
}

function forgetOldest(): void {
  const looked = new Set(wanted);
  for (const id of entries.keys()) {
    if (!looked.has(id)) {
      entries.delete(id);
      return;
    }
  }
}

/** Note what a node's last heartbeat brought; says whether that is new. */
function append(id: string, entry: Entry): boolean {
  const row = nodeSignal(id)?.peek();
  if (!row || row.seenMs === null) return false;
  const last = entry.samples.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY;
  if (row.seenMs - last < APART_MS) return false;
  const from = row.seenMs - KEPT_MS;
  const young = entry.samples.filter(({ atMs }) => atMs >= from);
  entry.samples = [...young, sampleOf(row, row.seenMs)].slice(-SAMPLES_MAX);
  return true;
}

function show(entry: Entry): void {
  const nowMs = serverNow();
  if (entry.past === null || nowMs === null) return;
  entry.trend.value = trendOver(entry.past, entry.samples, nowMs, settings.peek().intervalSeconds);
}

/** Ask for what is wanted and not known, one question at a time. */
async function askPast(): Promise<void> {
  if (asking || !["live", "polling"].includes(untracked(() => link.value.kind))) return;
  const at = performance.now();
  const ids = wanted.filter((id) => ID.test(id) && (entries.get(id)?.askAt ?? 0) <= at);
  if (ids.length === 0) return;
  asking = true;
  const failed = !(await askOnce(ids.slice(0, NODES_MAX)));
  asking = false;
  if (!failed && ids.length > NODES_MAX) void askPast();
}

async function askOnce(ids: readonly string[]): Promise<boolean> {
  try {
    const names = ids.map(encodeURIComponent).join(",");
    const answer = await ask<unknown>(`/api/fabric/trends?nodes=${names}`);
    const pasts = pastsOf(answer.value, ids);
    for (const id of ids) settle(id, pasts.get(id) ?? null, KEEP_MS);
    return true;
  } catch {
    for (const id of ids) settle(id, null, AGAIN_MS);
    return false;
  }
}

/** Without a past there is the present alone; what was known stays. */
function settle(id: string, past: Past | null, forMs: number): void {
  const entry = entries.get(id);
  if (!entry) return;
  entry.past = past ?? entry.past ?? { startMs: 0, bucketMs: 1, endMs: 0, util: [], vram: [] };
  entry.askAt = performance.now() + forMs;
  append(id, entry);
  show(entry);
}

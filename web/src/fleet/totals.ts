/** The fleet in a few figures. */

import { effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { now } from "./clock";
import { settings } from "./settings";
import { allRows, changes, nodeCount } from "./store";
import { sumUp } from "./summing";

/** Null is unknown: nobody told. Figures that move are of nodes that speak. */
export interface Totals {
  /** Nodes that were not given up. */
  readonly nodes: number;
  /** Nodes by state; a state that this page has not heard of is among them. */
  readonly states: Readonly<Record<string, number>>;
  readonly gpus: number;
  readonly gpusBusy: number;
  readonly gpusIdle: number;
  readonly gpusUnknown: number;
  /** Mean utilization of the GPUs whose own is known, 0 to 1. */
  readonly utilization: number | null;
  readonly vramBytes: number | null;
  readonly vramUsedBytes: number | null;
  /** Memory of those GPUs whose use is known: what `vramUsedBytes` is a part of. */
  readonly vramKnownBytes: number | null;
  /** Watts. */
  readonly power: number | null;
  /** Different models that are served. */
  readonly models: number;
  readonly running: number | null;
  readonly waiting: number | null;
  /** The latest heartbeat of all, milliseconds of the server's clock. */
  readonly lastSeenMs: number | null;
}

const EVERY_MS = 250;
/** Four times a second is as often as anybody reads. */

const AGES_MS = 5000;
/** How often ages are looked at though nothing came: nodes fall silent. */

const NOTHING = sumUp([], 0, settings.peek());

const current = signal<Totals>(NOTHING);
let waiting: ReturnType<typeof setTimeout> | null = null;
let summedAt = Number.NEGATIVE_INFINITY;

/** The figures; at most four times a second anew, and the same object while they are the same. */
export const totals: ReadonlySignal<Totals> = current;

effect(() => {
  changes.value;
  soon();
});

effect(() => {
  if (now.value > 0 && performance.now() - summedAt >= AGES_MS) soon();
});

function soon(): void {
  // The first rows are summed up at once: nobody waits for the sum of nothing before them.
  if (waiting !== null || (nodeCount() === 0 && current.peek() === NOTHING)) return;
  const wait = summedAt + EVERY_MS - performance.now();
  if (wait <= 0) untracked(sum);
  else waiting = setTimeout(sum, wait);
}

function sum(): void {
  waiting = null;
  summedAt = performance.now();
  const next = sumUp(allRows(), now.peek(), settings.peek());
  if (JSON.stringify(next) !== JSON.stringify(current.peek())) current.value = next;
}

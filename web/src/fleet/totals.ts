/** The fleet in a few figures. */

import { type ReadonlySignal, signal } from "@preact/signals";

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

const NOTHING: Totals = {
  nodes: 0,
  states: {},
  gpus: 0,
  gpusBusy: 0,
  gpusIdle: 0,
  gpusUnknown: 0,
  utilization: null,
  vramBytes: null,
  vramUsedBytes: null,
  vramKnownBytes: null,
  power: null,
  models: 0,
  running: null,
  waiting: null,
  lastSeenMs: null,
};

const current = signal(NOTHING);

/** The figures; at most four times a second anew. */
export const totals: ReadonlySignal<Totals> = current;

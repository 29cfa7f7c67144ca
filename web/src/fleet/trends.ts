/** The last half hour of each node that is looked at: what a sparkline draws. */

import { type ReadonlySignal, signal } from "@preact/signals";

export interface Trend {
  /** Milliseconds of the server's clock at which the first bucket begins. */
  readonly startMs: number;
  readonly bucketSeconds: number;
  /** Mean utilization of its GPUs in each bucket, 0 to 1; null is a gap. */
  readonly util: readonly (number | null)[];
  /** Mean use of their memory, 0 to 1; null is a gap. */
  readonly vram: readonly (number | null)[];
}

const nothing = signal<Trend | undefined>(undefined);

/** A node's trend; undefined: not known yet. */
export function trendOf(_id: string): ReadonlySignal<Trend | undefined> {
  return nothing;
}

/** Say which nodes are looked at: their past is asked for. */
export function wantTrends(_ids: readonly string[]): void {}

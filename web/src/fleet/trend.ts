/** A curve of the last half hour out of what the API has and what heartbeats brought since. */

import type { Past } from "./pasts";
import type { Row } from "./row";

export interface Trend {
  /** Milliseconds of the server's clock at which the first bucket begins. */
  readonly startMs: number;
  readonly bucketSeconds: number;
  /** Mean utilization of its GPUs in each bucket, 0 to 1; null is a gap. */
  readonly util: readonly (number | null)[];
  /** Mean use of their memory, 0 to 1; null is a gap. */
  readonly vram: readonly (number | null)[];
}

/** What one heartbeat brought. */
export interface Sample {
  readonly atMs: number;
  readonly util: number | null;
  readonly vram: number | null;
}

type Figure = "util" | "vram";

export const SPAN_SECONDS = 1800;
/** Half an hour. */

const BUCKET_SECONDS = 60;
/** Shortest bucket: two heartbeats, so that one that is a little late leaves no gap. */

/** Take what a row says of its GPUs, at a moment of the server's clock. */
export function sampleOf(row: Row, atMs: number): Sample {
  const gpus = row.pulse.gpu ?? [];
  return {
    atMs,
    util: mean(gpus.map(([util]) => share(util))),
    vram: mean(gpus.map(([, memory]) => share(memory))),
  };
}

/**
 * Give the curve up to a moment. Nothing is interpolated: a bucket of the past is its mean from its
 * beginning to its end, and where nobody said anything there is a gap.
 */
export function trendOver(
  past: Past,
  samples: readonly Sample[],
  nowMs: number,
  intervalSeconds: number,
): Trend {
  const bucketSeconds = Math.max(BUCKET_SECONDS, Math.ceil(intervalSeconds * 2));
  const size = bucketSeconds * 1000;
  const count = Math.max(2, Math.floor(SPAN_SECONDS / bucketSeconds));
  const present = placeOf(nowMs, size);
  // The bucket of now is no gap as long as it is not over.
  const begun = samples.some(({ atMs, util }) => util !== null && placeOf(atMs, size) === present);
  const last = begun ? present : present - 1;
  const places = Array.from({ length: count }, (_, at) => last - count + 1 + at);
  const curve = (figure: Figure) =>
    places.map((place) => live(samples, place, size, figure) ?? told(past, place, size, figure));
  return {
    startMs: (places[0] ?? 0) * size,
    bucketSeconds,
    util: curve("util"),
    vram: curve("vram"),
  };
}

function placeOf(atMs: number, size: number): number {
  return Math.floor(atMs / size);
}

function live(samples: readonly Sample[], place: number, size: number, figure: Figure) {
  return mean(
    samples.flatMap((sample) => (placeOf(sample.atMs, size) === place ? [sample[figure]] : [])),
  );
}

function told(past: Past, place: number, size: number, figure: Figure): number | null {
  const middle = (place + 0.5) * size;
  if (place * size >= past.endMs) return null;
  return past[figure][Math.floor((middle - past.startMs) / past.bucketMs)] ?? null;
}

function share(percent: number | null | undefined): number | null {
  return percent === null || percent === undefined ? null : percent / 100;
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

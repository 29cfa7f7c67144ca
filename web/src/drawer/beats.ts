/** The last heartbeats as a strip: which came on time, which late, which never. */

export const SLOTS = 60;
/** Half an hour at the usual interval of 30 s. */

const LATE_SHARE = 1.25;
/** Of an interval: agents send within a few per cent of their grid; a quarter more is late. */

const MISSED_SHARE = 0.75;
/** Of an interval of silence beyond the usual one: sooner than that it is only late. */

const EXTRA_SHARE = 0.5;
/** Of an interval: what comes sooner is a fault told at once, besides the grid, and no beat more. */

export type Beat = "unknown" | "onTime" | "late" | "missed";

export interface Slot {
  readonly kind: Beat;
  /** Milliseconds of the server's clock: when it came, or when it was due; null: unknown. */
  readonly atMs: number | null;
  readonly seq: number | null;
}

export interface Strip {
  /** `SLOTS` of them, the oldest first. */
  readonly slots: readonly Slot[];
  readonly onTime: number;
  readonly late: number;
  readonly missed: number;
}

interface Arrival {
  readonly ms: number;
  readonly seq: number | null;
}

/**
 * Lay arrivals on a row of slots, one for each interval; gaps become missed slots, and so does
 * the silence since the last one. Before the first arrival nothing is known.
 */
export function beatsOf(beats: unknown, intervalSeconds: number, nowMs: number | null): Strip {
  const interval = intervalSeconds > 0 ? intervalSeconds * 1000 : 30_000;
  const slots: Slot[] = [];
  let before: number | null = null;
  for (const arrival of arrivalsOf(beats)) {
    place(slots, arrival, before, interval);
    before = arrival.ms;
  }
  if (before !== null && nowMs !== null)
    missing(slots, before, nowMs - before - interval, interval);
  return stripOf(slots);
}

/** Take `[ms, seq]` pairs; what is none is left aside. */
function arrivalsOf(beats: unknown): Arrival[] {
  if (!Array.isArray(beats)) return [];
  const found: Arrival[] = [];
  for (const beat of beats.slice(-4 * SLOTS)) {
    const [ms, seq] = Array.isArray(beat) ? beat : [];
    if (typeof ms !== "number" || !Number.isFinite(ms)) continue;
    found.push({ ms, seq: typeof seq === "number" && Number.isFinite(seq) ? seq : null });
  }
  return found.sort((a, b) => a.ms - b.ms);
}

function place(slots: Slot[], arrival: Arrival, before: number | null, interval: number): void {
  const { ms, seq } = arrival;
  if (before === null) {
    slots.push({ kind: "onTime", atMs: ms, seq });
    return;
  }
  const gap = ms - before;
  if (gap < interval * EXTRA_SHARE) return;
  const absent = missing(slots, before, gap - interval, interval);
  // Behind missed ones it is late only if it is off the grid: the silence is told already.
  const off = gap - absent * interval;
  slots.push({ kind: off > interval * LATE_SHARE ? "late" : "onTime", atMs: ms, seq });
}

/** Add a missed slot for each interval that went by without a word; give how many. */
function missing(slots: Slot[], before: number, silence: number, interval: number): number {
  const absent = Math.max(0, Math.floor(silence / interval + 1 - MISSED_SHARE));
  const shown = Math.min(absent, SLOTS);
  for (let nth = absent - shown + 1; nth <= absent; nth += 1) {
    slots.push({ kind: "missed", atMs: before + nth * interval, seq: null });
  }
  return absent;
}

function stripOf(found: readonly Slot[]): Strip {
  const known = found.slice(-SLOTS);
  const unknown: Slot = { kind: "unknown", atMs: null, seq: null };
  const slots = [...Array<Slot>(SLOTS - known.length).fill(unknown), ...known];
  const of = (kind: Beat) => known.filter((slot) => slot.kind === kind).length;
  return { slots, onTime: of("onTime"), late: of("late"), missed: of("missed") };
}

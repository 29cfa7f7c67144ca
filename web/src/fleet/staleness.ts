/** How old figures are, and how far they may be trusted. */

import { type Feed, feed } from "../live/link";
import type { Row } from "./row";
import type { Settings } from "./settings";

/**
 * - `fresh`: of this interval.
 * - `old`: a heartbeat is overdue, or the page does not hear of heartbeats: dimmed, with its age.
 * - `lastKnown`: silent for too long: no part of any average.
 * - `never`: it has never spoken.
 */
export type Trust = "fresh" | "old" | "lastKnown" | "never";

const SLACK = 1.1;
/** Heartbeats are a little late now and then. */

const LAG_SECONDS = 15;
/** Longer than ingest is ever behind when it is well: it says so each second, and is looked at each 5 s. */

const WORD_MS = 40_000;
/** Silence of the server from which on it proves nothing about nodes; it speaks each 15 s. */

/** Whether heartbeats are not counted at this moment: silence is nobody's fault then. */
export function behind(state: Feed): boolean {
  return state.stale || (state.lag !== null && state.lag >= LAG_SECONDS);
}

/**
 * The moment as of which ages are told: now, or how far ingest came where it stands still.
 * A worker that is dead makes no node old.
 */
export function countedTo(nowMs: number, state: Feed = feed.value): number {
  return behind(state) && state.asOfMs !== null ? Math.min(nowMs, state.asOfMs) : nowMs;
}

/** Seconds since a node spoke, by the server's clock; null: it never did, or the clock is unknown. */
export function ageSeconds(row: Row, nowMs: number): number | null {
  if (row.seenMs === null || nowMs <= 0) return null;
  return Math.max(0, countedTo(nowMs) - row.seenMs) / 1000;
}

/** How far a node's figures may be trusted. Reads `feed`. */
export function trust(row: Row, nowMs: number, settings: Settings): Trust {
  if (row.seenMs === null) return "never";
  if (row.state === "Offline" || row.state === "Decommissioned") return "lastKnown";
  if (nowMs <= 0) return "fresh";
  const state = feed.value;
  const counted = countedTo(nowMs, state);
  // Where the server itself is not heard, its nodes' silence is not known to be one.
  const heard = state.lastWordMs === null ? counted : Math.min(counted, state.lastWordMs + WORD_MS);
  if (heard - row.seenMs > settings.timeoutSeconds * 1000) return "lastKnown";
  const overdue = counted - row.seenMs > settings.intervalSeconds * SLACK * 1000;
  return overdue || behind(state) ? "old" : "fresh";
}

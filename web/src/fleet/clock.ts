/** The server's clock: ages on the page never depend on what the browser's clock says. */

import { signal } from "@preact/signals";
import { dateOf } from "../units";

const TICK_MS = 1000;
/** Ages are told in whole seconds. */

const SLACK_MS = 2000;
/** Answers are late by some tenths of a second, and a date without fractions by up to one. */

const APART_MS = 2000;
/** By so much two clocks of one machine do not drift apart between two words of the server. */

interface Anchor {
  /** The server's clock less the page's stopwatch (`performance.now()`). */
  readonly offset: number;
  /** The browser's clock less the stopwatch, when the server spoke last. */
  readonly wall: number;
}

let anchor: Anchor | null = null;

const ticking = signal(0);

/** Milliseconds of the server's clock now, as a signal that ticks each second; 0: not yet known. */
export const now = ticking as { readonly value: number; peek(): number };

/** The same at this very moment, without waiting for the tick; null: not yet known. */
export function serverNow(): number | null {
  return anchor === null ? null : performance.now() + anchor.offset;
}

/**
 * Learn the server's clock from what it said just now (RFC 3339 or an HTTP date).
 *
 * A word is late by its way, never early: of those that differ by little the earliest counts, so
 * that ages do not jump to and fro.
 */
export function learn(said: string | null | undefined): void {
  const server = dateOf(said);
  if (server === null) return;
  const heard = server - performance.now();
  const late = anchor !== null && heard < anchor.offset && anchor.offset - heard < SLACK_MS;
  anchor = { offset: late ? (anchor?.offset ?? heard) : heard, wall: wallOffset() };
  tick();
}

/**
 * Whether the browser's clock and the stopwatch went apart since the server spoke: somebody set
 * the one, or the machine slept and the other stood still. Then the server is asked anew.
 */
export function doubtful(): boolean {
  return anchor !== null && Math.abs(wallOffset() - anchor.wall) > APART_MS;
}

/** Forget what was learned. */
export function forgetClock(): void {
  anchor = null;
  tick();
}

function wallOffset(): number {
  return Date.now() - performance.now();
}

/** Seconds that the browser's clock is ahead of the server's; null: not yet known. */
export function skewSeconds(): number | null {
  const server = serverNow();
  return server === null ? null : (Date.now() - server) / 1000;
}

function tick(): void {
  ticking.value = Math.round(serverNow() ?? 0);
}

/** Tick each second until told to stop. */
export function startClock(): () => void {
  const timer = setInterval(tick, TICK_MS);
  return () => clearInterval(timer);
}

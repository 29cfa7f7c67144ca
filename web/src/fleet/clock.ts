/** The server's clock: ages on the page never depend on what the browser's clock says. */

import { signal } from "@preact/signals";

const TICK_MS = 1000;
/** Ages are told in whole seconds. */

/** Where the server's clock was when the page's stopwatch stood at `at`. */
let anchor: { readonly server: number; readonly at: number } | null = null;

const ticking = signal(0);

/** Milliseconds of the server's clock now, as a signal that ticks each second; 0: not yet known. */
export const now = ticking as { readonly value: number; peek(): number };

/** The same at this very moment, without waiting for the tick; null: not yet known. */
export function serverNow(): number | null {
  return anchor === null ? null : anchor.server + (performance.now() - anchor.at);
}

/** Learn the server's clock from what it said just now (RFC 3339 or an HTTP date). */
export function learn(said: string | null | undefined): void {
  const server = said ? Date.parse(said) : Number.NaN;
  if (!Number.isFinite(server)) return;
  anchor = { server, at: performance.now() };
  tick();
}

/** Seconds that the browser's clock is ahead of the server's; null: not yet known. */
export function skewSeconds(): number | null {
  const server = serverNow();
  return server === null ? null : (Date.now() - server) / 1000;
}

function tick(): void {
  ticking.value = serverNow() ?? 0;
}

/** Tick each second until told to stop. */
export function startClock(): () => void {
  const timer = setInterval(tick, TICK_MS);
  return () => clearInterval(timer);
}

/** How the page is connected: what the badge in the head says. */

import { type ReadonlySignal, signal } from "@preact/signals";

/**
 * - `connecting`: nothing came yet.
 * - `live`: the stream is open.
 * - `waiting`: cut off; tried again when the page's stopwatch (`performance.now()`) reaches `retryAt`.
 * - `polling`: the stream cannot be had; the list is asked for each 30 s.
 * - `paused`: by the visitor; nothing moves.
 * - `signedOut`: the session has ended, or there was none.
 */
export type Link =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "waiting"; readonly retryAt: number; readonly why: string }
  | { readonly kind: "polling"; readonly why: string }
  | { readonly kind: "paused" }
  | { readonly kind: "signedOut" };

/** What is known of the way from the nodes to the page. */
export interface Feed {
  /** Milliseconds of the server's clock up to which all heartbeats are counted. */
  readonly asOfMs: number | null;
  /** Seconds since ingest last said so. */
  readonly lag: number | null;
  /** Why what is shown may be old though the connection is well: Redis cannot be read. */
  readonly stale: boolean;
  readonly reason: string | null;
  /** Milliseconds of the server's clock at the last good word. */
  readonly lastWordMs: number | null;
}

export const linkSignal = signal<Link>({ kind: "connecting" });
export const feedSignal = signal<Feed>({
  asOfMs: null,
  lag: null,
  stale: false,
  reason: null,
  lastWordMs: null,
});

export const link: ReadonlySignal<Link> = linkSignal;
export const feed: ReadonlySignal<Feed> = feedSignal;

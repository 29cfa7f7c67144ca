/** What the badge and the banners say of the connection. */

import { behind } from "../fleet/staleness";
import type { Feed, Link } from "../live/link";
import { shell } from "../text/shell";
import { span } from "../units";

/** The word on the badge; `stopwatch` is `performance.now()`. */
export function linkText(link: Link, stopwatch: number): string {
  if (link.kind !== "waiting") return shell.link[link.kind];
  return shell.link.waiting(Math.max(0, Math.ceil((link.retryAt - stopwatch) / 1000)));
}

/** The sentence in its tooltip. */
export function linkTitle(link: Link): string {
  if (link.kind === "waiting" || link.kind === "polling") {
    return shell.linkTitle[link.kind](link.why);
  }
  return shell.linkTitle[link.kind];
}

/** The hour of a moment, as the visitor's place has it. */
export function clockText(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

/** Say that the API is away, and of when what is shown is. */
export function downText(lastWordMs: number | null, nowMs: number): string {
  if (lastWordMs === null) return shell.downFromStart;
  const ago = `${span(Math.max(0, nowMs - lastWordMs) / 1000)} ago`;
  return shell.down(clockText(lastWordMs), ago);
}

/** Say that what is shown may be old though the API answers; null: it is not. */
export function ingestText(feed: Feed, nowMs: number): string | null {
  if (!behind(feed)) return null;
  if (feed.asOfMs === null || nowMs === 0) return shell.ingestUnknown;
  return shell.ingest(span((nowMs - feed.asOfMs) / 1000), clockText(feed.asOfMs));
}

/** What an event of the stream means to the page. */

import { learn, serverNow } from "../fleet/clock";
import type { Change } from "../fleet/store";
import { feedSignal } from "./link";
import { readDelta, readEvent, readGone, readJson, readRows, readTime } from "./messages";
import type { ServerEvent } from "./sse";

interface Told {
  readonly asOfMs: number | null;
  readonly lag: number | null;
  readonly stale: boolean;
  readonly reason: string | null;
}

/**
 * Give the change that an event is, or null: of the connection, odd, or unheard of.
 *
 * `reset` changes nothing: a snapshot follows, and until then what is shown is better than nothing.
 */
export function receive(event: ServerEvent): Change | null {
  switch (event.type) {
    case "snapshot": {
      const rows = readRows(readJson(event.data));
      return rows && { kind: "snapshot", rows };
    }
    case "node": {
      const delta = readDelta(readJson(event.data));
      return delta && { kind: "node", delta };
    }
    case "gone": {
      const id = readGone(readJson(event.data));
      return id === null ? null : { kind: "gone", id };
    }
    case "event": {
      const happened = readEvent(readJson(event.data));
      return happened && { kind: "event", event: happened };
    }
    case "time":
      time(event.data);
  }
  return null;
}

/** Note how far ingest is; a moment that is left out is as it was. */
export function tellFeed(told: Told): void {
  const before = feedSignal.peek();
  feedSignal.value = {
    asOfMs: told.asOfMs ?? before.asOfMs ?? (told.stale ? before.lastWordMs : null),
    lag: told.lag ?? (told.asOfMs === null ? before.lag : null),
    stale: told.stale,
    reason: told.reason,
    lastWordMs: serverNow(),
  };
}

function time(data: string): void {
  const word = readTime(readJson(data));
  if (!word) return;
  learn(word.now);
  tellFeed(word);
}

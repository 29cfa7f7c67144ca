/** Events in their order: by day, each once, whichever way it came. */

import type { FleetEvent } from "../api/types";
import { events as text } from "../text/events";

export interface Day {
  readonly key: string;
  readonly name: string;
  readonly events: readonly FleetEvent[];
}

/** What tells one from another: the stream and the list need not give the same id. */
export function keyOf(event: FleetEvent): string {
  return `${event.time}|${event.node}|${event.kind}|${event.reason}|${event.state ?? ""}`;
}

/** Put newer ones before those that are shown, each once. */
export function merged(
  newer: readonly FleetEvent[],
  shown: readonly FleetEvent[],
): readonly FleetEvent[] {
  const known = new Set<string>();
  return [...newer, ...shown].filter((event) => {
    const key = keyOf(event);
    return known.has(key) ? false : known.add(key);
  });
}

/** Those that are not shown yet. */
export function unseen(
  fresh: readonly FleetEvent[],
  shown: readonly FleetEvent[],
): readonly FleetEvent[] {
  const known = new Set(shown.map(keyOf));
  return fresh.filter((event) => !known.has(keyOf(event)));
}

/** Part a list by the days of the visitor's place; their order is the list's own. */
export function days(list: readonly FleetEvent[], nowMs: number): Day[] {
  const found: { key: string; name: string; events: FleetEvent[] }[] = [];
  for (const event of list) {
    const key = dayKey(Date.parse(event.time));
    const last = found.at(-1);
    if (last?.key === key) last.events.push(event);
    else found.push({ key, name: dayName(event.time, key, nowMs), events: [event] });
  }
  return found;
}

function dayKey(ms: number): string {
  if (!Number.isFinite(ms)) return "";
  const at = new Date(ms);
  return `${at.getFullYear()}-${at.getMonth() + 1}-${at.getDate()}`;
}

function dayName(time: string, key: string, nowMs: number): string {
  if (key === "") return text.undated;
  if (nowMs > 0 && key === dayKey(nowMs)) return text.today;
  if (nowMs > 0 && key === dayKey(nowMs - 86_400_000)) return text.yesterday;
  return new Date(time).toLocaleDateString("en-GB", {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
  });
}

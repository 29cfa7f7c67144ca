/** A node's details as the API has them. */

import { ask } from "../api/http";
import type { FleetEvent, HistoryView, NodeDetail, NodeSummary } from "../api/types";
import { learn } from "../fleet/clock";
import { at, flagAt, numberAt } from "./json";
import { readStatus, type Status } from "./status";

export interface Detail {
  readonly node: NodeSummary;
  /** The message as it travelled; null: none is kept. */
  readonly message: unknown;
  readonly status: Status | null;
  /** Whether figures that move are among it. */
  readonly complete: boolean;
  readonly beats: unknown;
  /** Seconds that the node's clock is ahead of the receiver's; null: unknown. */
  readonly skewSeconds: number | null;
  /** The answer as it came. */
  readonly raw: unknown;
}

/** The address of a node's own routes. */
export function nodePath(id: string, rest = ""): string {
  return `/api/fabric/nodes/${encodeURIComponent(id)}${rest}`;
}

export async function readDetail(id: string, signal: AbortSignal): Promise<Detail> {
  const answer = await ask<NodeDetail>(nodePath(id), { signal });
  learn(answer.headers.get("X-Citadel-Time"));
  const view = answer.value;
  const message = at(view, "status") ?? null;
  return {
    node: nodeOf(view, id),
    message,
    status: readStatus(message),
    complete: flagAt(view, "complete") ?? false,
    beats: at(view, "beats"),
    skewSeconds: numberAt(view, "skewSeconds"),
    raw: view,
  };
}

function nodeOf(view: NodeDetail | null, id: string): NodeSummary {
  return view?.node ?? { id, state: "Unknown", profile: { name: id }, pulse: {} };
}

export const RANGES = ["1h", "6h", "24h"] as const;
export type Range = (typeof RANGES)[number];

export async function readHistory(
  id: string,
  range: Range,
  signal: AbortSignal,
): Promise<HistoryView | null> {
  return (await ask<HistoryView>(nodePath(id, `/history?range=${range}`), { signal })).value;
}

export const EVENTS_SHOWN = 50;
/** About what one reads; all of them are in the Events tab. */

export async function readEvents(id: string, signal: AbortSignal): Promise<readonly FleetEvent[]> {
  const path = `/api/fabric/events/list?node=${encodeURIComponent(id)}&limit=${EVENTS_SHOWN}`;
  const { value } = await ask<readonly FleetEvent[]>(path, { signal });
  return Array.isArray(value) ? value.slice(0, EVENTS_SHOWN) : [];
}

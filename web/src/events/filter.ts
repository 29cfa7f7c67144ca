/** Which events are wanted: in the address as words of `q`, so that a view can be sent. */

import type { FleetEvent } from "../api/types";

export const KINDS = ["state", "fault", "xid", "config", "node"] as const;
export type Kind = (typeof KINDS)[number];

export const SINCES = ["", "1h", "24h", "7d", "30d"] as const;
export type Since = (typeof SINCES)[number];

const HOURS: Readonly<Record<Since, number>> = { "": 0, "1h": 1, "24h": 24, "7d": 168, "30d": 720 };

const NODE = /^[a-zA-Z0-9._-]{1,64}$/;
/** The API takes no other. */

export interface Filter {
  readonly kinds: readonly Kind[];
  readonly node: string;
  readonly reason: string;
  readonly since: Since;
}

export const ALL: Filter = { kinds: [], node: "", reason: "", since: "" };

/** Read a filter out of an address; what is not known is left aside. */
export function filterOf(q: string): Filter {
  const told = new Map<string, string>();
  for (const word of q.split(/\s+/)) {
    const at = word.indexOf(":");
    if (at > 0) told.set(word.slice(0, at), word.slice(at + 1));
  }
  const kinds = (told.get("kind") ?? "").split(",");
  return {
    kinds: KINDS.filter((kind) => kinds.includes(kind)),
    node: told.get("node") ?? "",
    reason: told.get("reason") ?? "",
    since: SINCES.find((since) => since === told.get("since")) ?? "",
  };
}

/** Give the words for an address. */
export function wordsOf(filter: Filter): string {
  const { kinds, node, reason, since } = filter;
  const told = { node, kind: kinds.join(","), reason, since };
  return Object.entries(told)
    .map(([name, value]) => [name, value.replace(/\s+/g, "")] as const)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}:${value}`)
    .join(" ");
}

/** Whether a node's id can be asked for. */
export function soundNode(node: string): boolean {
  return node === "" || NODE.test(node);
}

/** From when on, in milliseconds of the server's clock; null: from the beginning. */
export function beginOf(filter: Filter, nowMs: number): number | null {
  const hours = HOURS[filter.since];
  return hours > 0 ? nowMs - hours * 3_600_000 : null;
}

/** The question to the API. */
export function questionOf(filter: Filter, nowMs: number, cursor: string | null): string {
  const asked = new URLSearchParams({ limit: "100" });
  const begin = beginOf(filter, nowMs);
  if (filter.node) asked.set("node", filter.node);
  if (filter.kinds.length > 0) asked.set("kind", filter.kinds.join(","));
  if (filter.reason) asked.set("reason", filter.reason);
  if (begin !== null) asked.set("since", new Date(begin).toISOString());
  if (cursor) asked.set("cursor", cursor);
  return `/api/fabric/events/list?${asked}`;
}

/** Whether one that came by the stream belongs to what is asked for. */
export function wanted(event: FleetEvent, filter: Filter): boolean {
  const { kinds, node, reason } = filter;
  return (
    (kinds.length === 0 || (kinds as readonly string[]).includes(event.kind)) &&
    (node === "" || event.node === node) &&
    (reason === "" || event.reason === reason)
  );
}

/** One node as the page holds it. */

import type { NodeState, NodeSummary, Profile, Pulse } from "../api/types";
import { dateOf } from "../units";

export const STATES = [
  "Offline",
  "Degraded",
  "Stale",
  "Unknown",
  "Draining",
  "Online",
  "Decommissioned",
] as const satisfies readonly NodeState[];
/** What needs attention first; the order of the list (as the API's), of the legend and of the counts. */

/** `state` may be one that this page has not heard of: shown as it is, sorted as Unknown. */
export interface Row {
  readonly id: string;
  readonly state: NodeState;
  readonly reason: string | null;
  readonly message: string | null;
  /** RFC 3339, since when the state holds; null if nobody said so. */
  readonly since: string | null;
  /** Milliseconds of the server's clock at which it last spoke; null if it never did. */
  readonly seenMs: number | null;
  readonly headscaleId: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly profile: Profile;
  readonly pulse: Pulse;
}

/** Take a row over from the API; what is missing is unknown. */
export function rowOf(summary: NodeSummary): Row {
  return {
    id: summary.id,
    state: summary.state,
    reason: summary.reason ?? null,
    message: summary.message ?? null,
    since: summary.since ?? null,
    seenMs: dateOf(summary.lastHeartbeat),
    headscaleId: summary.headscaleId ?? null,
    labels: summary.labels ?? {},
    profile: summary.profile ?? { name: summary.id },
    pulse: summary.pulse ?? {},
  };
}

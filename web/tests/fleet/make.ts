/** Rows for tests. */

import type { NodeSummary } from "../../src/api/types";
import { type Row, rowOf } from "../../src/fleet/row";

export const T0 = Date.parse("2026-11-24T03:00:00Z");

export type Part = Partial<Omit<NodeSummary, "state" | "profile">> & {
  state?: string;
  profile?: Partial<NodeSummary["profile"]>;
};

export function summary(id: string, part: Part = {}): NodeSummary {
  return {
    state: "Online",
    lastHeartbeat: new Date(T0).toISOString(),
    pulse: {},
    ...part,
    id,
    profile: { name: id, ...part.profile },
  } as NodeSummary;
}

export function row(id: string, part: Part = {}): Row {
  return rowOf(summary(id, part));
}

/** The past of nodes as the API tells it. */

import { isObject, momentText, nonNegative, ratio } from "../live/guards";
import { serverNow } from "./clock";

/** Means in buckets. */
export interface Past {
  readonly startMs: number;
  readonly bucketMs: number;
  /** Up to when it is told: the last bucket is not over. */
  readonly endMs: number;
  readonly util: readonly (number | null)[];
  readonly vram: readonly (number | null)[];
}

const BUCKETS_MAX = 120;
/** Buckets of one node. */

/** Read the pasts of these nodes; of those that are left out nothing was heard. */
export function pastsOf(told: unknown, ids: readonly string[]): Map<string, Past> {
  const view = isObject(told) ? told : {};
  const start = momentText(view.start);
  const seconds = nonNegative(view.bucketSeconds);
  if (start === null || !seconds) return new Map();
  const nodes = isObject(view.nodes) ? view.nodes : {};
  const span = { startMs: Date.parse(start), bucketMs: seconds * 1000 };
  const endMs = serverNow() ?? Number.POSITIVE_INFINITY;
  return new Map(
    ids.map((id) => {
      const node = Object.hasOwn(nodes, id) && isObject(nodes[id]) ? nodes[id] : {};
      return [id, { ...span, endMs, util: ratios(node.util), vram: ratios(node.vram) }];
    }),
  );
}

function ratios(told: unknown): (number | null)[] {
  return Array.isArray(told) ? told.slice(0, BUCKETS_MAX).map(ratio) : [];
}

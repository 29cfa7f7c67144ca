/** What came and is not yet shown: of each node the sum, so that it never grows beyond the fleet. */

import type { FleetEvent, NodeSummary } from "../api/types";
import { type Change, EVENTS_KEPT, type NodeDelta } from "../fleet/store";

interface Waiting {
  /** It went before whatever else is told of it. */
  gone: boolean;
  delta: NodeDelta | null;
}

/** Gathers changes between two frames. */
export class Inbox {
  #rows: readonly NodeSummary[] | null = null;
  #nodes = new Map<string, Waiting>();
  #events: FleetEvent[] = [];

  get size(): number {
    return (this.#rows ? 1 : 0) + this.#nodes.size + this.#events.length;
  }

  put(change: Change): void {
    switch (change.kind) {
      case "snapshot":
        this.#rows = change.rows;
        this.#nodes.clear();
        break;
      case "gone":
        this.#nodes.set(change.id, { gone: true, delta: null });
        break;
      case "node":
        this.#merge(change.delta);
        break;
      case "event":
        this.#events.push(change.event);
        if (this.#events.length > EVENTS_KEPT) this.#events.shift();
    }
  }

  /** Give all of it, in an order that has the same outcome as the one in which it came. */
  take(): Change[] {
    const changes: Change[] = [];
    if (this.#rows) changes.push({ kind: "snapshot", rows: this.#rows });
    for (const [id, { gone, delta }] of this.#nodes) {
      if (gone) changes.push({ kind: "gone", id });
      if (delta) changes.push({ kind: "node", delta });
    }
    for (const event of this.#events) changes.push({ kind: "event", event });
    this.#rows = null;
    this.#nodes = new Map();
    this.#events = [];
    return changes;
  }

  #merge(delta: NodeDelta): void {
    const before = this.#nodes.get(delta.id);
    if (before === undefined) this.#nodes.set(delta.id, { gone: false, delta });
    else before.delta = before.delta ? sum(before.delta, delta) : delta;
  }
}

/** The one delta that does what two do one after another: a state takes its reason along. */
export function sum(before: NodeDelta, after: NodeDelta): NodeDelta {
  const { reason, ...rest } = before;
  const kept = after.state || reason === undefined ? rest : before;
  return { ...kept, ...after };
}

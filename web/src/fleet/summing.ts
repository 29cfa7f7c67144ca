/** Sums over the fleet, with the meaning of the API's own summary. */

import { busyOf } from "./gpus";
import type { Row } from "./row";
import type { Settings } from "./settings";
import { trust } from "./staleness";
import type { Totals } from "./totals";

const CURRENT: readonly string[] = ["Online", "Degraded", "Draining"];
/** States of a node whose last figures are those of now. */

/** Sum up; figures that move are of nodes that speak, and null where nobody told one. */
export function sumUp(rows: readonly Row[], nowMs: number, settings: Settings): Totals {
  const sums = new Sums();
  for (const row of rows) {
    sums.count(row);
    if (row.state === "Decommissioned") continue;
    sums.there(row);
    const current = CURRENT.includes(row.state) && trust(row, nowMs, settings) !== "lastKnown";
    if (current) sums.speaking(row);
  }
  return sums.totals();
}

class Sums {
  #nodes = 0;
  #states = new Map<string, number>();
  #gpus = 0;
  #busy = 0;
  #idle = 0;
  #utilization = 0;
  #vram: number | null = null;
  #used: number | null = null;
  #known: number | null = null;
  #power: number | null = null;
  #running: number | null = null;
  #waiting: number | null = null;
  #seen: number | null = null;
  readonly #models = new Set<string>();

  count(row: Row): void {
    this.#states.set(row.state, (this.#states.get(row.state) ?? 0) + 1);
  }

  there(row: Row): void {
    this.#nodes += 1;
    this.#gpus += busyOf(row).total;
    this.#vram = plus(this.#vram, row.profile.vramBytes);
    if (row.seenMs !== null) this.#seen = Math.max(this.#seen ?? row.seenMs, row.seenMs);
  }

  speaking(row: Row): void {
    const { busy, idle, mean } = busyOf(row);
    this.#busy += busy;
    this.#idle += idle;
    this.#utilization += (mean ?? 0) * (busy + idle);
    this.#power = plus(this.#power, row.pulse.power);
    this.#running = plus(this.#running, row.pulse.running);
    this.#waiting = plus(this.#waiting, row.pulse.waiting);
    for (const model of row.profile.models ?? []) this.#models.add(model);
    const used = usedBytes(row);
    if (used === null) return;
    this.#used = plus(this.#used, used);
    this.#known = plus(this.#known, row.profile.vramBytes);
  }

  totals(): Totals {
    const known = this.#busy + this.#idle;
    return {
      nodes: this.#nodes,
      states: Object.fromEntries(this.#states),
      gpus: this.#gpus,
      gpusBusy: this.#busy,
      gpusIdle: this.#idle,
      gpusUnknown: Math.max(0, this.#gpus - known),
      utilization: known ? this.#utilization / known / 100 : null,
      vramBytes: this.#vram,
      vramUsedBytes: this.#used === null ? null : Math.round(this.#used),
      vramKnownBytes: this.#known,
      power: this.#power,
      models: this.#models.size,
      running: this.#running,
      waiting: this.#waiting,
      lastSeenMs: this.#seen,
    };
  }
}

/** The sum of what is known; null if nothing is. */
function plus(sum: number | null, value: number | null | undefined): number | null {
  if (value === null || value === undefined) return sum;
  return (sum ?? 0) + value;
}

/** Memory in use, where it is known of each GPU. */
function usedBytes(row: Row): number | null {
  const total = row.profile.vramBytes;
  const gpus = row.pulse.gpu ?? [];
  if (total === null || total === undefined || gpus.length === 0) return null;
  let sum = 0;
  for (const [, memory] of gpus) {
    if (memory === null || memory === undefined) return null;
    sum += memory;
  }
  return (total * sum) / gpus.length / 100;
}

/** The GPUs of a row: one cell each. */

import { fleetText } from "../text/fleet";
import { percent } from "../units";
import type { Row } from "./row";

export interface GpuCell {
  readonly index: number;
  /** Utilization, 0 to 100; null: unknown. */
  readonly util: number | null;
  /** Memory in use, 0 to 100; null: unknown. */
  readonly memory: number | null;
  /** Which band the utilization lies in; null: unknown. */
  readonly band: 0 | 1 | 2 | 3 | 4 | null;
  /** 0 healthy, 1 degraded, 2 failed; null: unknown. */
  readonly mark: 0 | 1 | 2 | null;
}

export const BUSY_PERCENT = 5;
/** Utilization from which a GPU is busy: as the API counts. */

export const BAND_FROM = [0, BUSY_PERCENT, 30, 60, 85] as const;
/** Where the five bands begin, per cent: idle is a band of its own. */

export const CELLS_MAX = 64;
/** Cells of one node at most: no machine has as many GPUs, and a wrong figure must not fill memory. */

export interface Busy {
  readonly total: number;
  readonly busy: number;
  readonly idle: number;
  readonly unknown: number;
  /** Mean utilization of the known ones, 0 to 100; null: none is known. */
  readonly mean: number | null;
}

/** The cells, by index; of GPUs that are only counted all is unknown. */
export function cellsOf(row: Row): GpuCell[] {
  const told = row.pulse.gpu ?? [];
  const count = Math.min(CELLS_MAX, Math.max(told.length, gpuCount(row) ?? 0));
  return Array.from({ length: count }, (_, index) => {
    const [util = null, memory = null, mark = null] = told[index] ?? [];
    return { index, util, memory, band: bandOf(util), mark: markOf(mark) };
  });
}

/** How many GPUs a node said it has; null: it did not say. */
export function gpuCount(row: Row): number | null {
  const models = row.profile.gpus;
  return models ? models.reduce((sum, model) => sum + model.count, 0) : null;
}

/** Busy and idle GPUs of a node. */
export function busyOf(row: Row): Busy {
  const told = row.pulse.gpu ?? [];
  let busy = 0;
  let idle = 0;
  let sum = 0;
  for (const [util] of told) {
    if (util === null || util === undefined) continue;
    if (util >= BUSY_PERCENT) busy += 1;
    else idle += 1;
    sum += util;
  }
  const known = busy + idle;
  const total = Math.max(told.length, gpuCount(row) ?? 0);
  return { total, busy, idle, unknown: total - known, mean: known ? sum / known : null };
}

/** `6/8 busy, 71 %`; what is not known is said. */
export function busyText(row: Row): string {
  const { total, busy, unknown, mean } = busyOf(row);
  if (total === 0) return gpuCount(row) === 0 ? fleetText.noGpus : fleetText.unknown;
  if (mean === null) return fleetText.gpusUnknown(total);
  const text = fleetText.busyWithMean(busy, total, percent(mean / 100));
  return unknown ? `${text}, ${fleetText.gpusUnknown(unknown)}` : text;
}

function bandOf(util: number | null): GpuCell["band"] {
  if (util === null) return null;
  return Math.max(
    0,
    BAND_FROM.findLastIndex((from) => util >= from),
  ) as GpuCell["band"];
}

function markOf(mark: number | null): GpuCell["mark"] {
  return mark === 0 || mark === 1 || mark === 2 ? mark : null;
}

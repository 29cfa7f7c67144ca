/** Models and GPUs that occur in the fleet, to pick from. */

import { computed } from "@preact/signals";
import type { Row } from "../fleet/row";
import { allRows, shape } from "../fleet/store";
import { cut } from "../parts";
import { shortGpu, shortModel } from "./figures";

const MOST = 500;
/** Choices of a list; more of them nobody reads, and the search finds the rest. */

const TEXT_MAX = 48;
/** Characters of a choice. */

export interface Choice {
  readonly value: string;
  readonly text: string;
  /** Nodes. */
  readonly count: number;
}

/** Count names, and give them in the order of the alphabet. */
export function choicesOf(
  rows: readonly Row[],
  namesOf: (row: Row) => readonly string[],
  short: (name: string) => string,
): Choice[] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    if (row.state === "Decommissioned") continue;
    for (const name of new Set(namesOf(row))) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .filter(([name]) => name && name.length <= 512)
    .map(([value, count]) => ({ value, text: cut(short(value), TEXT_MAX), count }))
    .sort((one, other) => one.text.localeCompare(other.text, "en"))
    .slice(0, MOST);
}

/** Models that are served. */
export const modelChoices = computed(() => {
  shape.value;
  return choicesOf(allRows(), (row) => row.profile.models ?? [], shortModel);
});

/** Models of GPUs. */
export const gpuChoices = computed(() => {
  shape.value;
  return choicesOf(allRows(), (row) => (row.profile.gpus ?? []).map((gpu) => gpu.model), shortGpu);
});

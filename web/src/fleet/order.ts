/** In which order nodes are shown. Rows stay where they are while figures move. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { matches, query } from "./query";
import { allRows, shape } from "./store";

const none = signal(0);

/** Ids in the order in which they are shown. */
export const visible: ReadonlySignal<readonly string[]> = computed(() => {
  shape.value;
  const asked = query.value;
  return allRows()
    .filter((row) => matches(row, asked))
    .map((row) => row.id);
});

/** How many rows would move if the order were made anew. */
export const moved: ReadonlySignal<number> = none;

/** Make the order anew. */
export function reorder(): void {
  none.value = 0;
}

/**
 * Which nodes are shown, and in which order. Rows stay where they are while figures move: each is
 * sorted by its key of the moment at which the order was made.
 */

import { batch, computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { place } from "../url";
import { leastMoves } from "./moving";
import { matches, query } from "./query";
import type { Row } from "./row";
import { compareKeys, type Key, keyOf, type Order, orderOf, rankOf } from "./sorting";
import { allRows, changes, nodeSignal, onShape, shape } from "./store";

export { DEFAULT_SORT, type Order, rankOf, SORTS } from "./sorting";

const FEW = 32;
/** Changed nodes up to which each is put in its place; sorting all is quicker from here on. */

const COUNT_MS = 1000;
/** How often is counted how many rows would move. */

const shown = signal<readonly string[]>([]);
const moving = signal(0);
const asked = computed(() => place.value.sort);
const sort = computed(() => orderOf(asked.value));

/** What is shown: in which order it was put, the keys in that order, and the same by id. */
let order = sort.peek();
let keys: Key[] = [];
let kept = new Map<string, Key>();
let counting: ReturnType<typeof setTimeout> | null = null;

/** Ids in the order in which they are shown. */
export const visible: ReadonlySignal<readonly string[]> = shown;

/** How many rows would move if the order were made anew; looked at each second. */
export const moved: ReadonlySignal<number> = moving;

/** The order that is asked for. */
export const sorted: ReadonlySignal<Order> = sort;

/** Make the order anew, by the figures of now. */
export function reorder(): void {
  order = sort.peek();
  arrange(wanted().map((row) => keyOf(order, row)));
  moving.value = 0;
}

// What the visitor asks for anew is made at once.
effect(() => {
  sort.value;
  query.value;
  untracked(() => batch(reorder));
});

// Most orders follow nothing that a heartbeat brings: they are looked at when a node changed.
effect(() => {
  (sort.value.moves ? changes : shape).value;
  if (counting === null) counting = setTimeout(count, COUNT_MS);
});

onShape((ids) => {
  if (ids === null || ids.size > FEW) {
    arrange(wanted().map((row) => keyNow(row)));
    return;
  }
  let changed = false;
  for (const id of ids) changed = shift(id) || changed;
  if (changed) show();
});

function wanted(): Row[] {
  const search = query.peek();
  return allRows().filter((row) => matches(row, search));
}

/** The key that a row had, unless another state takes it elsewhere. */
function keyNow(row: Row): Key {
  const before = kept.get(row.id);
  const stays = before && (order.name !== "state" || before.rank === rankOf(row.state));
  return stays ? before : keyOf(order, row);
}

/** Put one node in its place, or take it out; says whether anything changed. */
function shift(id: string): boolean {
  const row = nodeSignal(id)?.peek();
  const before = kept.get(id);
  const after = row && matches(row, query.peek()) ? keyNow(row) : undefined;
  if (after === before) return false;
  if (before) keys.splice(placeOf(before), 1);
  if (after) keys.splice(placeOf(after), 0, after);
  if (after) kept.set(id, after);
  else kept.delete(id);
  return true;
}

/** Where a key is or belongs. */
function placeOf(key: Key): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const there = keys[middle];
    if (there && compareKeys(order, there, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function arrange(next: Key[]): void {
  keys = next.sort((one, other) => compareKeys(order, one, other));
  kept = new Map(keys.map((key) => [key.id, key]));
  show();
}

/** Tell the order, unless it is the same. */
function show(): void {
  const before = shown.peek();
  const same = before.length === keys.length && keys.every((key, at) => key.id === before[at]);
  if (!same) shown.value = keys.map((key) => key.id);
}

function count(): void {
  counting = null;
  const current = keys.flatMap(({ id }) => {
    const row = nodeSignal(id)?.peek();
    return row ? [keyOf(order, row)] : [];
  });
  moving.value = leastMoves(current, (one, other) => compareKeys(order, one, other));
}

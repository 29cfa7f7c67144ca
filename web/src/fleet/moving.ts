/** How far a list is from its order. */

/**
 * Give how many items must at least be moved to put a list in order: all but its longest
 * subsequence that is in order already. O(n log n), and O(n) for a list that is in order.
 */
export function leastMoves<T>(list: readonly T[], compare: (one: T, other: T) => number): number {
  /** At each place the least item that ends a run of that length. */
  const ends: T[] = [];
  for (const item of list) {
    const last = ends.at(-1);
    if (last === undefined || compare(last, item) < 0) ends.push(item);
    else ends[firstNotBefore(ends, item, compare)] = item;
  }
  return list.length - ends.length;
}

function firstNotBefore<T>(
  ends: readonly T[],
  item: T,
  compare: (one: T, other: T) => number,
): number {
  let [low, high] = [0, ends.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    const there = ends[middle];
    if (there !== undefined && compare(there, item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is wrong now: the nodes themselves say so, and not what once happened. */

import { type Row, STATES } from "../fleet/row";
import { isWrong } from "../shell/unhealthy";
import { dateOf } from "../units";

/** The gravest state first, and in it what began last. */
export function openNow(rows: readonly Row[]): Row[] {
  const rank = (row: Row) => (STATES as readonly string[]).indexOf(row.state);
  return rows
    .filter((row) => isWrong(row.state))
    .sort((a, b) => rank(a) - rank(b) || sinceMs(b) - sinceMs(a) || (a.id < b.id ? -1 : 1));
}

/** Since when, in milliseconds; 0 where nobody said. */
export function sinceMs(row: Row): number {
  return dateOf(row.since) ?? 0;
}

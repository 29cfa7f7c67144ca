/** A column's head: its name, and the order by it where there is one. */

import { Icon } from "../parts";
import { nodesText as words } from "../text/nodes";
import { go, place } from "../url";
import { type Column, SORTS } from "./columns";

type Direction = "ascending" | "descending";

/** Which way round a column is sorted; null: it is not. */
export function directionOf(column: Column, sort: string): Direction | null {
  const name = SORTS[column]?.[0];
  const asked = sort || "state";
  if (!name || asked.replace(/^-/, "") !== name) return null;
  return asked.startsWith("-") ? "descending" : "ascending";
}

/** What comes after a press: one way round, the other, and what needs attention first. */
export function nextSort(column: Column, sort: string): string {
  const known = SORTS[column];
  if (!known) return sort;
  const [name, first] = known;
  const [one, other] = first === "up" ? [name, `-${name}`] : [`-${name}`, name];
  const asked = sort || "state";
  if (asked === one) return other;
  return asked === other ? "" : one;
}

export function HeadCell({ column }: { column: Column }) {
  const { sort } = place.value;
  const name = words.column[column];
  const title = words.columnTitle[column];
  const className = `head-of-${column}`;
  if (!SORTS[column]) {
    return (
      <th scope="col" class={className} title={title}>
        {name}
      </th>
    );
  }
  const direction = directionOf(column, sort);
  return (
    <th scope="col" class={className} aria-sort={direction ?? "none"}>
      <button
        type="button"
        class="head-sort"
        title={title}
        onClick={() => go({ sort: nextSort(column, place.peek().sort) }, "replace")}
      >
        {name}
        <span class="head-arrow" data-direction={direction ?? undefined}>
          <Icon name="down" />
        </span>
      </button>
    </th>
  );
}

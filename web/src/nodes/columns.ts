/** The table's columns: which there are, which are wanted, and which there is room for. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { keep, kept } from "./kept";
import { width } from "./width";

export const COLUMNS = [
  "state",
  "name",
  "gpus",
  "strip",
  "vram",
  "trend",
  "cpu",
  "memory",
  "disk",
  "models",
  "seen",
  "agent",
] as const;

export type Column = (typeof COLUMNS)[number];

/** The order by a column, and which way round comes first. */
export const SORTS: Readonly<Partial<Record<Column, readonly [string, "up" | "down"]>>> = {
  state: ["state", "up"],
  name: ["name", "up"],
  gpus: ["gpus", "down"],
  strip: ["util", "down"],
  vram: ["used", "down"],
  cpu: ["cpu", "down"],
  memory: ["ram", "down"],
  disk: ["disk", "down"],
  models: ["models", "down"],
  seen: ["seen", "up"],
  agent: ["agent", "up"],
};

const ALWAYS: ReadonlySet<Column> = new Set(["state", "name"]);
/** Without them no row could be told from another. */

const ROOM: Readonly<Record<Column, number>> = {
  state: 9.5,
  name: 11,
  gpus: 9,
  strip: 11.5,
  vram: 10,
  trend: 7,
  cpu: 5.25,
  memory: 5.75,
  disk: 5.25,
  models: 13,
  seen: 6.5,
  agent: 5,
};
/** `rem` that each needs; as in the style sheet. */

const FIRST_TO_GO: readonly Column[] = [
  "agent",
  "disk",
  "memory",
  "gpus",
  "cpu",
  "trend",
  "models",
  "vram",
  "seen",
];
/** What is left out first where there is no room: a table that scrolls sideways is read by nobody. */

const KEY = "fabric.columns.hidden";

const hiddenOnes = signal<ReadonlySet<Column>>(read());

/** Columns that the visitor does not want. */
export const hidden: ReadonlySignal<ReadonlySet<Column>> = hiddenOnes;

/** Whether a column can be hidden. */
export function optional(column: Column): boolean {
  return !ALWAYS.has(column);
}

/** Show or hide a column, and remember it. */
export function setHidden(column: Column, hide: boolean): void {
  const next = new Set(hiddenOnes.peek());
  if (hide && optional(column)) next.add(column);
  else next.delete(column);
  hiddenOnes.value = next;
  keep(KEY, [...next].join(","));
}

/** Show all of them. */
export function showAll(): void {
  hiddenOnes.value = new Set();
  keep(KEY, "");
}

/** Those of the wanted that fit into so many `rem`. */
export function fitting(wanted: readonly Column[], rem: number): Column[] {
  const there = new Set(wanted);
  let needed = wanted.reduce((sum, column) => sum + ROOM[column], 0);
  for (const column of FIRST_TO_GO) {
    if (needed <= rem) break;
    if (there.delete(column)) needed -= ROOM[column];
  }
  return wanted.filter((column) => there.has(column));
}

const wanted = computed(() => COLUMNS.filter((column) => !hiddenOnes.value.has(column)));
const key = computed(() => fitting(wanted.value, width.value).join(","));

/** Columns that are shown. */
export const shown: ReadonlySignal<readonly Column[]> = computed(
  () => key.value.split(",") as Column[],
);

/** Columns that are wanted and find no room. */
export const crowded: ReadonlySignal<readonly Column[]> = computed(() => {
  const there = new Set(shown.value);
  return wanted.value.filter((column) => !there.has(column));
});

function read(): ReadonlySet<Column> {
  const names = new Set((kept(KEY) ?? "").split(","));
  return new Set(COLUMNS.filter((column) => names.has(column) && optional(column)));
}

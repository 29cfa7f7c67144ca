/** Table or cards: as chosen, or else as there is room. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { go, place } from "../url";
import { keep, kept } from "./kept";
import { width } from "./width";

export type View = "table" | "cards";

const NARROW_REM = 50;
/** Room below which a table cannot be read: 700 px at the usual size of letters. */

const KEY = "fabric.view";

const chosen = signal<View | null>(viewOf(kept(KEY)));

/** What is shown. The address wins over what was chosen before. */
export const view: ReadonlySignal<View> = computed(
  () => place.value.view ?? chosen.value ?? (width.value < NARROW_REM ? "cards" : "table"),
);

/** Choose one, here and for the next time. */
export function choose(next: View): void {
  chosen.value = next;
  keep(KEY, next);
  go({ view: next }, "replace");
}

function viewOf(text: string | null): View | null {
  return text === "table" || text === "cards" ? text : null;
}

/** Heights of rows and cards: all alike, so that a list knows how long it is without drawing it. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";

const coarse = matchMedia("(pointer: coarse)");
const fingers = signal(coarse.matches);

coarse.addEventListener("change", () => {
  fingers.value = coarse.matches;
});

/** Height of a row in `rem`; fingers need more. The style sheet has the same. */
export const rowRem: ReadonlySignal<number> = computed(() => (fingers.value ? 4 : 3.5));

/** Height of a card in `rem`. */
export const cardRem: ReadonlySignal<number> = computed(() => (fingers.value ? 20 : 18.25));

/** Models shown in a row or on a card before the rest is counted. */
export const chipsShown: ReadonlySignal<number> = computed(() => (fingers.value ? 1 : 2));

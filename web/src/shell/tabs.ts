/** Each tab keeps what was looked for in it while one looks into another. */

import { effect } from "@preact/signals";
import { go, type Place, place, type Tab } from "../url";

const EMPTY: Omit<Place, "tab"> = {
  view: null,
  q: "",
  state: "",
  model: "",
  gpu: "",
  sort: "",
  node: "",
  part: "",
  range: "",
  code: "",
};

const left = new Map<Tab, Place>();

/** Where a tab was left; the drawer stays behind. */
export function placeOfTab(tab: Tab): Place {
  if (place.value.tab === tab) return place.value;
  return { ...EMPTY, ...left.get(tab), tab, node: "", part: "", range: "" };
}

/** Go to a tab, as it was left. */
export function goToTab(tab: Tab): void {
  if (place.peek().tab !== tab) go(placeOfTab(tab));
}

/** Remember where each tab is left; gives what ends it. */
export function keepPlaces(): () => void {
  return effect(() => {
    left.set(place.value.tab, place.value);
  });
}

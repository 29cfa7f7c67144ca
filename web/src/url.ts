/** Where one is, and what one looks at: all of it in the address, so that a view can be sent. */

import { computed, signal } from "@preact/signals";

export const TABS = ["nodes", "models", "events", "access"] as const;
export type Tab = (typeof TABS)[number];

export interface Place {
  readonly tab: Tab;
  /** Nodes as a table or as cards. */
  readonly view: "table" | "cards" | null;
  readonly q: string;
  /** Names of states, by commas; empty for all. */
  readonly state: string;
  readonly model: string;
  readonly gpu: string;
  readonly sort: string;
  /** The node whose drawer is open. */
  readonly node: string;
  /** Which part of the drawer is open. */
  readonly part: string;
  /** How far back the drawer's charts go. */
  readonly range: string;
  /** A device's code. */
  readonly code: string;
}

const TEXT_MAX = 512;
/** Longest text that is read from an address: as the API bounds a filter. */

const HALF = /[\ud800-\udbff]$/;

const TEXTS = ["q", "state", "model", "gpu", "sort", "node", "part", "range", "code"] as const;

/** Read an address; what is not known is left aside. */
export function placeOf(url: URL): Place {
  const asked = url.searchParams;
  const tab = url.pathname === "/device" ? "access" : (asked.get("tab") ?? "nodes");
  const view = asked.get("view");
  // Cut through a pair of surrogates it would be no text, and could not be asked for.
  const text = (name: string) => (asked.get(name) ?? "").slice(0, TEXT_MAX).replace(HALF, "");
  return {
    tab: TABS.find((known) => known === tab) ?? "nodes",
    view: view === "table" || view === "cards" ? view : null,
    q: text("q"),
    state: text("state"),
    model: text("model"),
    gpu: text("gpu"),
    sort: text("sort"),
    node: text("node"),
    part: text("part"),
    range: text("range"),
    code: text("code") || text("user_code"),
  };
}

/** Give the address of a place, without the host. */
export function addressOf(place: Place): string {
  const asked = new URLSearchParams();
  if (place.tab !== "nodes") asked.set("tab", place.tab);
  if (place.view) asked.set("view", place.view);
  for (const name of TEXTS) if (place[name]) asked.set(name, place[name]);
  const text = asked.toString();
  return text ? `/?${text}` : "/";
}

const current = signal<Place>(placeOf(new URL(location.href)));

/** The place; a signal. */
export const place = computed(() => current.value);

/** Go somewhere: a step of the history, or in place of the present one (typing, sorting). */
export function go(patch: Partial<Place>, how: "push" | "replace" = "push"): void {
  const next = { ...current.peek(), ...patch };
  const address = addressOf(next);
  // To go where one is already is no step: "back" would seem to do nothing.
  const same = address === addressOf(current.peek());
  if (how === "push" && !same) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  current.value = next;
}

addEventListener("popstate", () => {
  current.value = placeOf(new URL(location.href));
});

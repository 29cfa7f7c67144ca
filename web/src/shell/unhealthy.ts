/** How many nodes want attention: told in the title and by the icon of the browser's tab. */

import { computed, effect, type ReadonlySignal } from "@preact/signals";
import { session } from "../fleet/session";
import { allRows, shape } from "../fleet/store";
import { shell } from "../text/shell";

const WRONG: ReadonlySet<string> = new Set(["Offline", "Degraded", "Stale"]);
/** Draining and Decommissioned are so on purpose, and of Unknown nobody can tell. */

export function isWrong(state: string): boolean {
  return WRONG.has(state);
}

export const unhealthy: ReadonlySignal<number> = computed(() => {
  shape.value;
  return allRows().filter((row) => isWrong(row.state)).length;
});

/** Keep title and icon; gives what ends it. */
export function tellTitle(): () => void {
  return effect(() => {
    const count = unhealthy.value;
    document.title = session.value === null ? shell.signInTitle : shell.title(count);
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    const file = count > 0 ? "/favicon-alert.svg" : "/favicon.svg";
    if (icon && icon.getAttribute("href") !== file) icon.setAttribute("href", file);
  });
}

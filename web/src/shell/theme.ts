/** Light, dark, or as the system has it; kept for the next visit. */

import { signal } from "@preact/signals";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "citadel-theme";
/** `public/assets/theme-1.js` reads it too, before the first paint. */

/** Read a theme; anything else is as the system has it. */
export function themeOf(text: string | null | undefined): Theme {
  return THEMES.find((known) => known === text) ?? "auto";
}

const chosen = signal<Theme>(themeOf(document.documentElement.dataset.theme));

export const theme = chosen as { readonly value: Theme };

/** Go on to the next theme. */
export function turnTheme(): void {
  const next = THEMES[(THEMES.indexOf(chosen.peek()) + 1) % THEMES.length] ?? "auto";
  chosen.value = next;
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Forbidden storage: the choice holds as long as the page is open.
  }
}

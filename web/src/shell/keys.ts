/** Shortcuts of one key: silent while somebody types, and behind a modal dialog. */

import { useLayoutEffect, useRef } from "preact/hooks";

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const TYPED = "input, textarea, select, [contenteditable]";

/** Whether a key is somebody's typing. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof Element)) return false;
  const field = target.closest(TYPED);
  if (!(field instanceof HTMLInputElement)) return field !== null;
  return !["checkbox", "radio", "button", "submit", "reset", "range"].includes(field.type);
}

/**
 * Do something at a key (`event.key`: "j", "/", "?"), as long as the component is there.
 *
 * `where`: on the page alone, or (only) while a dialog is open.
 */
export function useKeys(keys: Keys, where: "page" | "dialog" = "page"): void {
  const latest = useRef(keys);
  latest.current = keys;
  // At once, not after the next frame: of keys that follow each other quickly none is lost.
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      const act = heard(event, where) ? latest.current[event.key] : undefined;
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [where]);
}

function heard(event: KeyboardEvent, where: "page" | "dialog"): boolean {
  if (event.defaultPrevented || event.isComposing) return false;
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const modal = document.querySelector("dialog[open]") !== null;
  return modal === (where === "dialog") && !typing(event.target);
}

/** Which row the keyboard is at: one of them is in the order of tabs, and it stays where it is. */

import { type ReadonlySignal, signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { visible } from "../fleet/order";
import { go, place } from "../url";

const at = signal<string | null>(null);
const under = signal<string | null>(null);
const turn = signal(0);

const ITEM = "[data-testid=node-row], [data-testid=node-card]";

const EDGE = 80;
/** Pixels at the upper edge that a sticky head may cover. */

/** The row that the keyboard is at; null: none yet. */
export const current: ReadonlySignal<string | null> = at;

/** The row under the pointer. */
export const hovered: ReadonlySignal<string | null> = under;

/** Note where the keyboard is. */
export function setCurrent(id: string | null): void {
  at.value = id;
}

/** Go so many rows down (or up), and there with the focus. */
export function step(by: number): void {
  const ids = visible.peek();
  if (ids.length === 0) return;
  const here = at.peek() === null ? -1 : ids.indexOf(at.peek() ?? "");
  const next = here < 0 ? firstInSight(ids) : Math.min(ids.length - 1, Math.max(0, here + by));
  at.value = ids[next] ?? null;
  turn.value += 1;
}

/** Open a node's drawer. */
export function open(id: string): void {
  go({ node: id });
}

/** Open that where the keyboard is, if it stands at a row. */
export function openCurrent(): void {
  const id = at.peek();
  if (id !== null && visible.peek().includes(id)) open(id);
}

function firstInSight(ids: readonly string[]): number {
  for (const item of document.querySelectorAll<HTMLElement>(ITEM)) {
    if (item.getBoundingClientRect().top >= EDGE) {
      return Math.max(0, ids.indexOf(item.dataset.node ?? ""));
    }
  }
  return 0;
}

/** The index of the row that must stay drawn; null: none. */
export function heldIndex(ids: readonly string[]): number | null {
  const id = at.value;
  const index = id === null ? -1 : ids.indexOf(id);
  return index < 0 ? null : index;
}

/** Bring the focus to the row that was stepped to, and back to where it was if drawing took it. */
export function useFocus(list: RefObject<HTMLElement | null>): void {
  const asked = turn.value;
  const focused = document.activeElement;
  useLayoutEffect(() => {
    const id = at.peek();
    if (asked === 0 || id === null) return;
    const item = list.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(id)}"]`);
    item?.focus();
    item?.scrollIntoView?.({ block: "nearest" });
  }, [asked]);
  useLayoutEffect(() => {
    // A row that is moved within the document loses the focus in some browsers.
    if (!(focused instanceof HTMLElement) || document.activeElement === focused) return;
    if (document.activeElement !== document.body) return;
    if (list.current?.contains(focused)) focused.focus({ preventScroll: true });
  });
}

function nodeOf(target: EventTarget | null): string | null {
  const item = target instanceof Element ? target.closest<HTMLElement>(ITEM) : null;
  return item?.dataset.node ?? null;
}

function perLine(event: KeyboardEvent): number {
  const list = event.currentTarget instanceof HTMLElement ? event.currentTarget : null;
  return Number(list?.dataset.perLine ?? 1);
}

function stepOf(event: KeyboardEvent): number | null {
  const line = perLine(event);
  switch (event.key) {
    case "ArrowDown":
      return line;
    case "ArrowUp":
      return -line;
    case "ArrowRight":
      return line > 1 ? 1 : null;
    case "ArrowLeft":
      return line > 1 ? -1 : null;
    case "Home":
      return -visible.peek().length;
    case "End":
      return visible.peek().length;
    default:
      return null;
  }
}

/** What rows and cards do, listened for once on their list. */
export const listening = {
  onClick(event: MouseEvent) {
    const id = nodeOf(event.target);
    if (id === null || !(event.target instanceof Element)) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const control = event.target.closest("a, button");
    if (control && !control.matches("[data-open]")) return;
    // Somebody who marks a text to copy it does not want to go elsewhere.
    if (!control && getSelection()?.toString()) return;
    event.preventDefault();
    setCurrent(id);
    open(id);
  },
  onKeyDown(event: KeyboardEvent) {
    const { target } = event;
    if (!(target instanceof Element) || !target.matches(ITEM)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = stepOf(event);
    if (event.key !== "Enter" && by === null) return;
    event.preventDefault();
    if (by === null) openCurrent();
    else step(by);
  },
  onFocusIn(event: FocusEvent) {
    const id = nodeOf(event.target);
    if (id !== null) setCurrent(id);
  },
  onPointerOver(event: PointerEvent) {
    if (event.pointerType !== "touch") under.value = nodeOf(event.target);
  },
  onPointerLeave() {
    under.value = null;
  },
};

/** Whether a node's drawer is open; its row is marked. */
export function isOpen(id: string): boolean {
  return place.value.node === id;
}

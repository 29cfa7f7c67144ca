/** Follows the page's scrolling, and says which lines of a list there is need of. */

import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { type Extent, extentOf, WINDOWED_FROM } from "./windowing";

const FIRST: Extent = { first: 0, end: 32 };
/** Before anything is measured: more than a screen. */

export interface Lines {
  /** Items of the list. */
  readonly items: number;
  /** Items beside each other in a line. */
  readonly perLine: number;
  /** Height of a line in `rem`; all are alike. */
  readonly rem: number;
}

/** Give the lines to draw of a list that scrolls with the page; all of them in a short one. */
export function useWindow(
  list: RefObject<HTMLElement | null>,
  { items, perLine, rem }: Lines,
): Extent {
  const lines = Math.ceil(items / perLine);
  const long = items > WINDOWED_FROM;
  const extent = useSignal<Extent>(FIRST);
  const printed = useSignal(false);
  useLayoutEffect(() => {
    if (!long) return;
    let frame = 0;
    const look = () => {
      frame = 0;
      const box = list.current;
      if (!box) return;
      const line = rem * rootSize();
      const sight = { top: -box.getBoundingClientRect().top, height: innerHeight };
      const next = extentOf(sight, lines, line);
      const was = extent.peek();
      if (next.first !== was.first || next.end !== was.end) extent.value = next;
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [long, lines, rem]);
  useLayoutEffect(() => {
    const paper = matchMedia("print");
    const turn = () => {
      printed.value = paper.matches;
    };
    paper.addEventListener("change", turn);
    return () => paper.removeEventListener("change", turn);
  }, []);
  if (!long || printed.value) return { first: 0, end: lines };
  const { first, end } = extent.value;
  return { first: Math.min(first, lines), end: Math.min(end, lines) };
}

function rootSize(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 14;
}

/** How much room the list has, in `rem`: large letters leave less of it than small ones. */

import { signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";

const UNMEASURED = 96;
/** Until it is measured: a desktop. */

const current = signal(UNMEASURED);

/** Room of the list in `rem`; changes by whole ones. */
export const width = current as { readonly value: number; peek(): number };

/** Measure an element as long as it is there. */
export function useWidth(box: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => {
      const size = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 14;
      const rem = Math.floor(element.clientWidth / size);
      if (rem > 0) current.value = rem;
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    // What sticks to the upper edge sticks below the page's own head.
    const head = document.querySelector<HTMLElement>(".head");
    const below = new ResizeObserver(() => {
      const sticks = head && getComputedStyle(head).position === "sticky";
      element.style.setProperty("--nodes-top", `${sticks ? head.offsetHeight : 0}px`);
    });
    if (head) below.observe(head);
    return () => {
      observer.disconnect();
      below.disconnect();
    };
  }, []);
}

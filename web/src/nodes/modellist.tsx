/** All models of one node, above everything. */

import { useEffect, useRef } from "preact/hooks";
import { cut } from "../parts";
import { nodesText as words } from "../text/nodes";
import { ModelChip, opened } from "./models";

export default function ModelList() {
  const box = useRef<HTMLDivElement>(null);
  const shown = opened.value;
  useEffect(() => {
    const list = box.current;
    if (!shown || !list) return;
    list.showPopover?.();
    const { innerWidth: wide, innerHeight: high } = window;
    const size = list.getBoundingClientRect();
    list.style.left = `${Math.max(8, Math.min(shown.at.left, wide - size.width - 8))}px`;
    const below = shown.at.bottom + 4;
    const top = below + size.height > high - 8 ? shown.at.top - size.height - 4 : below;
    list.style.top = `${Math.max(8, top)}px`;
    list.querySelector<HTMLElement>("button")?.focus();
  }, [shown]);
  if (!shown) return null;
  return (
    <div
      ref={box}
      class="models-list"
      popover="auto"
      role="dialog"
      aria-label={words.modelsOf(cut(shown.name, 64))}
      onToggle={(event) => {
        if (event.newState === "closed") opened.value = null;
      }}
    >
      {shown.models.map((model) => (
        <ModelChip key={model} model={model} />
      ))}
    </div>
  );
}

/** Which columns the table has. */

import "./chooser.css";
import { useId, useRef, useState } from "preact/hooks";
import { Icon } from "../parts";
import { later } from "../shell/later";
import { nodesText as words } from "../text/nodes";

const ColumnList = later(() => import("./columnlist"));

export function ColumnChooser() {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        ref={button}
        type="button"
        class="button"
        data-testid="column-chooser"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => box.current?.togglePopover?.()}
      >
        <Icon name="columns" />
        <span class="filters-word">{words.columns}</span>
      </button>
      <div
        ref={box}
        id={id}
        class="chooser"
        popover="auto"
        onToggle={(event) => {
          const opened = event.newState === "open";
          setOpen(opened);
          if (opened) stand(event.currentTarget, button.current);
        }}
      >
        {open ? <ColumnList /> : null}
      </div>
    </>
  );
}

/** Stand under the button, inside the window. */
function stand(box: HTMLElement, button: HTMLElement | null): void {
  if (!button) return;
  const at = button.getBoundingClientRect();
  const size = box.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
  box.style.top = `${Math.max(8, Math.min(at.bottom + 4, innerHeight - size.height - 8))}px`;
}

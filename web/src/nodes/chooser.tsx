/** Which columns the table has. */

import "./chooser.css";
import { useId, useRef, useState } from "preact/hooks";
import { Icon } from "../parts";
import { nodesText as words } from "../text/nodes";
import { COLUMNS, crowded, hidden, optional, setHidden, showAll } from "./columns";

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
        <Choices />
      </div>
    </>
  );
}

function Choices() {
  const away = hidden.value;
  const tight = crowded.value.map((column) => words.column[column]);
  return (
    <fieldset class="chooser-set">
      <legend>{words.columns}</legend>
      {COLUMNS.filter(optional).map((column) => (
        <label key={column} class="chooser-line">
          <input
            type="checkbox"
            data-testid={`column-${column}`}
            checked={!away.has(column)}
            onChange={(event) => setHidden(column, !event.currentTarget.checked)}
          />
          <span title={words.columnTitle[column]}>{words.column[column]}</span>
        </label>
      ))}
      {tight.length > 0 ? <p class="chooser-hint">{words.noRoom(tight.join(", "))}</p> : null}
      <p class="chooser-hint">{words.columnsHint}</p>
      {away.size > 0 ? (
        <button type="button" class="button" onClick={showAll}>
          {words.allColumns}
        </button>
      ) : null}
    </fieldset>
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

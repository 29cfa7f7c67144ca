/** A modal dialog, in the middle or at the side: Esc closes it, and the focus goes back where it was. */

import "./dialog.css";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { parts } from "../text/parts";
import { announced } from "./announce";
import { Icon } from "./icon";

export interface DialogProps {
  title: ComponentChildren;
  onClose: () => void;
  /** A drawer at the right edge. */
  side?: boolean;
  /** Beside the title: badges, buttons. */
  head?: ComponentChildren;
  children?: ComponentChildren;
  /** The close button's is this and `-close`. */
  testid?: string;
  /** The node that it shows, as `data-node`. */
  node?: string;
}

export function Dialog({ title, onClose, side, head, children, testid, node }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  const name = useId();
  useModal(box, node);
  return (
    <dialog
      ref={box}
      class={side ? "dialog dialog-side" : "dialog"}
      aria-labelledby={name}
      data-testid={testid}
      data-node={node}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        if (event.target === box.current) onClose();
      }}
    >
      <div class="dialog-inside">
        <header class="dialog-head">
          <h2 id={name} class="dialog-title" tabIndex={-1}>
            {title}
          </h2>
          {head}
          <button
            type="button"
            class="button button-bare dialog-close"
            aria-label={parts.close}
            title={parts.close}
            data-testid={testid ? `${testid}-close` : undefined}
            onClick={onClose}
          >
            <Icon name="close" />
          </button>
        </header>
        <div class="dialog-body">{children}</div>
        {/* All outside is inert now, the page's live region too. */}
        <div class="unseen" aria-live="polite">
          {announced}
        </div>
      </div>
    </dialog>
  );
}

/** The row or card of a node, where the list shows it. */
function rowOf(node: string): HTMLElement | null {
  return document.querySelector(`[tabindex][data-node="${CSS.escape(node)}"]`);
}

function useModal(box: { current: HTMLDialogElement | null }, node: string | undefined): void {
  useLayoutEffect(() => {
    const dialog = box.current;
    if (!dialog) return;
    const before = document.activeElement;
    dialog.showModal();
    dialog.querySelector<HTMLElement>(".dialog-title")?.focus();
    return () => {
      dialog.close();
      // Of a drawer that went on to another node, the row it stands at is where one goes on.
      const row = node ? rowOf(node) : null;
      const back = row?.contains(before) ? before : (row ?? before);
      if (back instanceof HTMLElement && back.isConnected) back.focus();
    };
  }, []);
}

/** A button that copies a text and says whether it did. */

import "./button.css";
import { useEffect, useState } from "preact/hooks";
import { parts } from "../text/parts";
import { announce } from "./announce";
import { Icon } from "./icon";

const FEEDBACK_MS = 2000;
/** Long enough to be seen. */

export interface CopyProps {
  text: string;
  /** What it does: "Copy the id". */
  label: string;
  /** The label as a word beside the picture. */
  wide?: boolean;
}

/** Copy a text; on plain HTTP browsers have no clipboard but the selection's. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text: string): boolean {
  const box = document.createElement("textarea");
  const focused = document.activeElement;
  box.value = text;
  box.className = "unseen";
  // In a modal dialog all else is inert and could not be selected.
  (focused?.closest("dialog") ?? document.body).append(box);
  box.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    box.remove();
    if (focused instanceof HTMLElement) focused.focus();
  }
}

export function Copy({ text, label, wide = false }: CopyProps) {
  const [done, setDone] = useState<boolean | null>(null);
  useEffect(() => {
    if (done === null) return;
    const timer = setTimeout(() => setDone(null), FEEDBACK_MS);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    const copied = await copyText(text);
    announce(copied ? parts.copied : parts.copyFailed, "copy");
    setDone(copied);
  };
  const told = done === null ? label : done ? parts.copied : parts.copyFailed;
  return (
    <button
      type="button"
      class={wide ? "button" : "button button-bare"}
      aria-label={label}
      title={told}
      data-done={done === null ? undefined : String(done)}
      onClick={copy}
    >
      <Icon name={done === null ? "copy" : done ? "check" : "offline"} />
      {wide ? <span>{done ? parts.copied : label}</span> : null}
    </button>
  );
}

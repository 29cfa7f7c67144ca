/** A short name that can be picked. */

import "./chip.css";
import { cut, Said } from "./said";

const SHOWN_MAX = 28;
/** Characters; names of models run to a hundred. */

export interface ChipProps {
  text: string;
  /** What the tooltip says; the whole name where it is not given. */
  title?: string | undefined;
  onPick?: (() => void) | undefined;
  testid?: string | undefined;
  /** -1: out of the order of tabs. */
  tabIndex?: number | undefined;
}

export function Chip({ text, title, onPick, testid, tabIndex }: ChipProps) {
  const told = cut(title ?? text, 1024);
  const shown = <Said text={cut(text, SHOWN_MAX)} />;
  if (!onPick) {
    return (
      <span class="chip" title={told} data-testid={testid}>
        {shown}
      </span>
    );
  }
  return (
    <button
      type="button"
      class="chip chip-pick"
      title={told}
      tabIndex={tabIndex}
      data-testid={testid}
      onClick={onPick}
    >
      {shown}
    </button>
  );
}

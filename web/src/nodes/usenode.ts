/** What a row depends on: its own node, how far that may be trusted, and whether it is looked at. */

import { type ReadonlySignal, useComputed } from "@preact/signals";
import { now } from "../fleet/clock";
import type { Row } from "../fleet/row";
import { settings } from "../fleet/settings";
import { type Trust, trust } from "../fleet/staleness";
import { current, hovered, isOpen } from "./focus";

export interface Seen {
  readonly row: Row;
  readonly trusted: Trust;
  /** Under the pointer or at the keyboard: what can be done with it is shown. */
  readonly hot: boolean;
  readonly opened: boolean;
}

/** Follow a node; draws anew only when something of it changed, not each second. */
export function useNode(node: ReadonlySignal<Row>, id: string): Seen {
  const trusted = useComputed(() => trust(node.value, now.value, settings.value));
  const hot = useComputed(() => hovered.value === id || current.value === id);
  const opened = useComputed(() => isOpen(id));
  return { row: node.value, trusted: trusted.value, hot: hot.value, opened: opened.value };
}

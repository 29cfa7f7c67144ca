/** The models that a node serves, as chips: picked, all nodes that serve one. */

import "./models.css";
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Row } from "../fleet/row";
import { Chip, cut } from "../parts";
import { nodesText as words } from "../text/nodes";
import { UNKNOWN } from "../units";
import { go } from "../url";
import { nameOf, shortModel } from "./figures";

const LIST_MAX = 64;
/** Models of one node; as many as the server tells. */

interface Opened {
  readonly name: string;
  readonly models: readonly string[];
  readonly at: DOMRect;
}

const opened = signal<Opened | null>(null);

function pick(model: string): void {
  opened.value = null;
  go({ model });
}

function ModelChip({ model, tab }: { model: string; tab?: number }) {
  return (
    <Chip
      text={shortModel(model)}
      title={words.modelTitle(cut(model, 512))}
      onPick={() => pick(model)}
      testid="model-chip"
      tabIndex={tab}
    />
  );
}

export interface ModelChipsProps {
  row: Row;
  most: number;
  /** -1: tabs lead past them, as past all of a row but that of the keyboard. */
  tab: number;
}

export function ModelChips({ row, most, tab }: ModelChipsProps) {
  const { models, services } = row.profile;
  if (!models) return <span class="models-none">{UNKNOWN}</span>;
  const served = typeof services === "number" ? words.services(services) : null;
  if (models.length === 0) {
    return (
      <span class="models-none">
        {words.none}
        {served ? <span class="models-services"> · {served}</span> : null}
      </span>
    );
  }
  const rest = models.slice(most);
  return (
    <span class="models" title={served ?? undefined}>
      {models.slice(0, most).map((model) => (
        <ModelChip key={model} model={model} tab={tab} />
      ))}
      {rest.length > 0 ? (
        <button
          type="button"
          class="chip chip-pick models-more"
          tabIndex={tab}
          aria-label={words.moreModelsOf(rest.length, cut(nameOf(row), 64))}
          aria-haspopup="dialog"
          onClick={(event) => {
            const at = event.currentTarget.getBoundingClientRect();
            opened.value = { name: nameOf(row), models: models.slice(0, LIST_MAX), at };
          }}
        >
          {words.moreModels(rest.length)}
        </button>
      ) : null}
    </span>
  );
}

/** All models of one node, above everything; one for the whole list. */
export function ModelList() {
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

/** The models that a node serves, as chips: picked, all nodes that serve one. */

import "./models.css";
import { signal } from "@preact/signals";
import type { Row } from "../fleet/row";
import { Chip, cut } from "../parts";
import { later } from "../shell/later";
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

/** Whose models are all shown, and beside what. */
export const opened = signal<Opened | null>(null);

const List = later(
  () => import("./modellist"),
  () => null,
);

function pick(model: string): void {
  opened.value = null;
  go({ model });
}

export function ModelChip({ model, tab }: { model: string; tab?: number }) {
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

/** All models of one node, where they are asked for; one for the whole list. */
export function ModelList() {
  return opened.value ? <List /> : null;
}

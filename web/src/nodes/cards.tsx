/** The same nodes as cards: for narrow screens, and for those who like them. */

import "./cards.css";
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { visible } from "../fleet/order";
import type { Row } from "../fleet/row";
import { nodeSignal } from "../fleet/store";
import { cut, Said, StateBadge, toneOf } from "../parts";
import { nodesText as words } from "../text/nodes";
import { UNKNOWN } from "../units";
import { Kinds, NameLink, RatioFigure, SeenCell, VramFigure } from "./cells";
import { kindsOf } from "./figures";
import { heldIndex, listening, useFocus } from "./focus";
import { cardRem, chipsShown } from "./measures";
import { ModelChips } from "./models";
import { GpuStrip } from "./strip";
import { Sparkline, wantTrends } from "./trend";
import { useNode } from "./usenode";
import { width } from "./width";
import { useWindow } from "./window";
import { type Run, runsOf } from "./windowing";

const NARROWEST = 21;
/** `rem` that a card needs. */

const GAP = 0.75;
/** `rem` between cards; as in the style sheet. */

/** How many cards stand beside each other. */
export function perLineOf(rem: number): number {
  return Math.max(1, Math.floor((rem + GAP) / (NARROWEST + GAP)));
}

export default function NodeCards() {
  const list = useRef<HTMLUListElement>(null);
  const ids = visible.value;
  const perLine = perLineOf(width.value);
  const rem = cardRem.value + GAP;
  const extent = useWindow(list, { items: ids.length, perLine, rem });
  const held = heldIndex(ids);
  useFocus(list);
  useEffect(() => {
    wantTrends(ids.slice(extent.first * perLine, extent.end * perLine));
  }, [ids, perLine, extent.first, extent.end]);
  const heldLine = held === null ? null : Math.floor(held / perLine);
  const runs = runsOf(extent, Math.ceil(ids.length / perLine), heldLine);
  const tabbed = ids[held ?? extent.first * perLine];
  return (
    <ul
      ref={list}
      class="cards"
      aria-label={words.caption}
      data-per-line={perLine}
      style={{ gridTemplateColumns: `repeat(${perLine}, minmax(0, 1fr))` }}
      {...listening}
    >
      {runs.flatMap((run) => (run.drawn ? cardsOf(ids, run, perLine, tabbed) : [airOf(run, rem)]))}
    </ul>
  );
}

function cardsOf(ids: readonly string[], run: Run, perLine: number, tabbed: string | undefined) {
  const first = run.first * perLine;
  return ids.slice(first, run.end * perLine).flatMap((id, offset) => {
    const node = nodeSignal(id);
    if (!node) return [];
    const place = { index: first + offset, count: ids.length };
    return [<NodeCard key={id} id={id} node={node} {...place} tab={id === tabbed} />];
  });
}

function airOf(run: Run, rem: number) {
  const height = `${(run.end - run.first) * rem - GAP}rem`;
  return <li key={`air ${run.end}`} class="cards-air" aria-hidden="true" style={{ height }} />;
}

interface NodeCardProps {
  id: string;
  node: ReadonlySignal<Row>;
  index: number;
  count: number;
  tab: boolean;
}

function NodeCard({ id, node, index, count, tab }: NodeCardProps) {
  const { row, trusted, opened } = useNode(node, id);
  return (
    <li
      class="card"
      data-testid="node-card"
      data-node={id}
      data-state={row.state}
      data-tone={toneOf(row.state)}
      data-trust={trusted}
      data-opened={opened ? "" : undefined}
      aria-posinset={index + 1}
      aria-setsize={count}
      tabIndex={tab ? 0 : -1}
    >
      <div class="card-head">
        <h3 class="card-name">
          <NameLink row={row} tab={tab ? 0 : -1} />
        </h3>
        <StateBadge state={row.state} />
      </div>
      <CardLine row={row} />
      <GpuStrip row={row} trusted={trusted} />
      <div class="card-figures">
        <VramFigure row={row} trusted={trusted} />
        <Labelled row={row} trusted={trusted} />
      </div>
      <Sparkline id={id} />
      <div class="card-foot">
        <ModelChips row={row} most={chipsShown.value} tab={tab ? 0 : -1} />
        <SeenCell row={row} trusted={trusted} />
      </div>
    </li>
  );
}

/** What is the matter, or else what it is. */
function CardLine({ row }: { row: Row }) {
  const why = row.state === "Online" ? null : (row.message ?? row.reason);
  const kinds = kindsOf(row);
  const { address } = row.profile;
  return (
    <div class="card-lines">
      <p class="cell-cut cell-soft" title={cut([address, kinds?.title].join("\n"), 512)}>
        {address ? <Said text={cut(address, 64)} /> : UNKNOWN}
        {kinds ? " · " : null}
        {kinds ? <Kinds kinds={kinds} /> : null}
      </p>
      <p class="cell-cut card-why" title={why ? cut(why, 512) : undefined}>
        {why ? <Said text={cut(why, 160)} /> : <Quiet row={row} />}
      </p>
    </div>
  );
}

/** Of a node with which nothing is the matter: what runs on it. */
function Quiet({ row }: { row: Row }) {
  const { agent, services } = row.profile;
  return (
    <span class="cell-soft">
      {words.column.agent} <Said text={cut(agent || UNKNOWN, 32)} />
      {typeof services === "number" ? ` · ${words.services(services)}` : null}
    </span>
  );
}

function Labelled({ row, trusted }: Pick<ReturnType<typeof useNode>, "row" | "trusted">) {
  return (
    <>
      {(["cpu", "memory", "disk"] as const).map((column) => (
        <RatioFigure key={column} row={row} trusted={trusted} column={column} />
      ))}
    </>
  );
}

/** What stands in the cells of a row, and in the fields of a card. */

import "./figure.css";
import { gpuCount } from "../fleet/gpus";
import type { Row } from "../fleet/row";
import type { Trust } from "../fleet/staleness";
import { Age, Copy, cut, Said, StateBadge } from "../parts";
import { nodesText as words } from "../text/nodes";
import { percent, UNKNOWN } from "../units";
import { addressOf, place } from "../url";
import { kindsOf, memoryTitle, nameOf, ratioOf, vramText } from "./figures";
import { useFlash } from "./flash";

const NAME_MAX = 80;
/** Characters of a name in a row; the style sheet cuts where the room ends. */

export function StateCell({ row }: { row: Row }) {
  const well = row.state === "Online";
  const why = well ? null : row.reason;
  return (
    <div class="cell-state" title={why ? cut(row.message ?? why, 512) : undefined}>
      <StateBadge state={row.state} reason={why} />
    </div>
  );
}

/** The link to a node's details: a real one, so that it opens in a tab of its own, too. */
export function NameLink({ row, tab }: { row: Row; tab: number }) {
  const name = nameOf(row);
  return (
    <a
      class="cell-link"
      data-open=""
      href={addressOf({ ...place.peek(), node: row.id })}
      tabIndex={tab}
      title={cut(name === row.id ? name : `${name}\n${row.id}`, 512)}
    >
      <Said text={cut(name, NAME_MAX)} />
    </a>
  );
}

export function NameCell({ row, hot }: { row: Row; hot: boolean }) {
  const { address } = row.profile;
  return (
    <div class="cell-name">
      <div class="cell-line">
        <NameLink row={row} tab={hot ? 0 : -1} />
        {hot ? <Copy text={row.id} label={words.copyId(row.id)} /> : null}
      </div>
      <div class="cell-line cell-soft">
        {address ? <AddressText address={address} /> : <span>{UNKNOWN}</span>}
        {hot && address ? (
          <Copy text={address} label={words.copyAddress(cut(address, 64))} />
        ) : null}
      </div>
    </div>
  );
}

function AddressText({ address }: { address: string }) {
  return (
    <span class="cell-cut" title={cut(address, 256)}>
      <Said text={cut(address, 64)} />
    </span>
  );
}

/** So many of a model; the model's name is the node's own word and stands for itself. */
export function Kinds({ kinds }: { kinds: NonNullable<ReturnType<typeof kindsOf>> }) {
  return (
    <>
      {kinds.lead} <Said text={cut(kinds.model, 64)} />
      {kinds.more}
    </>
  );
}

export function GpusCell({ row }: { row: Row }) {
  const kinds = kindsOf(row);
  if (!kinds) return <span class="cell-soft">{row.profile.gpus ? "0" : UNKNOWN}</span>;
  return (
    <span class="cell-two" title={cut(kinds.title, 512)}>
      <Kinds kinds={kinds} />
    </span>
  );
}

export interface FigureProps {
  value: number | null;
  label: string;
  text: string;
  title?: string | undefined;
  dimmed: boolean;
  grave?: boolean;
}

/** A part of a whole that moves: few elements, for there are four of them in each row. */
export function Figure({ value, label, text, title, dimmed, grave }: FigureProps) {
  const flash = useFlash(text);
  const full = value === null ? null : Math.min(1, Math.max(0, value)) * 100;
  return (
    <div
      class="figure"
      {...meaningOf(full, label, text)}
      data-name={label}
      data-tone={grave && value !== null && value >= GRAVE ? "warn" : undefined}
      data-dimmed={dimmed ? "" : undefined}
      title={title}
    >
      <span class={`figure-text ${flash}`}>{text}</span>
      <i
        class={full === null ? "figure-bar figure-unknown" : "figure-bar"}
        style={full === null ? undefined : { "--full": `${full}%` }}
      />
    </div>
  );
}

/** What is not known is no meter: it has no value to stand at. */
function meaningOf(full: number | null, label: string, text: string) {
  if (full === null) return { role: "group", "aria-label": label } as const;
  const bounds = { "aria-valuemin": 0, "aria-valuemax": 100 };
  return {
    role: "meter",
    ...bounds,
    "aria-valuenow": Math.round(full),
    "aria-valuetext": text,
    "aria-label": label,
  } as const;
}

const GRAVE = 0.9;
/** Part of a disk or of the memory from which there is little left. */

export function VramFigure({ row, trusted }: { row: Row; trusted: Trust }) {
  if (gpuCount(row) === 0) {
    return (
      <div class="figure cell-soft" data-name={words.column.vram}>
        <span>{words.none}</span>
      </div>
    );
  }
  return (
    <Figure
      value={ratioOf(row, "vram")}
      label={words.column.vram}
      text={vramText(row)}
      dimmed={trusted !== "fresh"}
    />
  );
}

export function RatioFigure(props: {
  row: Row;
  trusted: Trust;
  column: "cpu" | "memory" | "disk";
}) {
  const { row, trusted, column } = props;
  const ratio = ratioOf(row, column);
  return (
    <Figure
      value={ratio}
      label={words.column[column]}
      text={percent(ratio)}
      title={column === "memory" ? memoryTitle(row) : undefined}
      dimmed={trusted !== "fresh"}
      grave={column !== "cpu"}
    />
  );
}

export function SeenCell({ row, trusted }: { row: Row; trusted: Trust }) {
  return (
    <div class="cell-seen">
      <Age ms={row.seenMs} heard />
      {trusted === "lastKnown" ? <span class="cell-soft">{words.lastKnown}</span> : null}
    </div>
  );
}

export function AgentCell({ row }: { row: Row }) {
  const { agent } = row.profile;
  if (!agent) return <span class="cell-soft">{UNKNOWN}</span>;
  return (
    <span class="cell-cut" title={cut(agent, 256)}>
      <Said text={cut(agent, 32)} />
    </span>
  );
}

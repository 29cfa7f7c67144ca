/** One model, and behind it the nodes that have it. */

import { useId, useState } from "preact/hooks";
import { nodeSignal } from "../fleet/store";
import { Age, Icon, type IconName, NodeLink, Said, StateBadge, type Tone } from "../parts";
import { models as text } from "../text/models";
import { count } from "../units";
import { type ModelRow, rank } from "./rows";

const MODEL_MAX = 96;
/** Characters of a name in the table. */

const NODES_NAMED = 2;
/** Names in the row itself. */

const NODES_SHOWN = 50;
/** Nodes behind it at first; more at a click. */

export function ModelLine({ row }: { row: ModelRow }) {
  const [open, setOpen] = useState(false);
  const below = useId();
  const { column } = text;
  return (
    <>
      <tr data-testid="model-row" data-model={row.model}>
        <th scope="row">
          <button
            type="button"
            class="modeltab-open"
            aria-expanded={open}
            aria-controls={open ? below : undefined}
            title={text.showNodes(row.model.slice(0, 256))}
            onClick={() => setOpen(!open)}
          >
            <Icon name={open ? "down" : "right"} />
            <Said text={row.model} max={MODEL_MAX} />
          </button>
        </th>
        <td data-name={column.health}>
          <Health row={row} />
        </td>
        <td data-name={column.nodes}>
          <Named row={row} />
        </td>
        <td class="number" data-name={column.replicas}>
          {count(row.replicas)}
        </td>
        <td class="modeltab-engines" data-name={column.engines}>
          {row.engines.length > 0 ? (
            <Said text={row.engines.join(", ")} max={40} />
          ) : (
            <span class="soft">{text.unknown}</span>
          )}
        </td>
        <Figure name={column.running} value={row.running} />
        <Figure name={column.waiting} value={row.waiting} />
      </tr>
      {open ? (
        <tr class="modeltab-below" id={below}>
          <td colSpan={7}>
            <Nodes row={row} />
          </td>
        </tr>
      ) : null}
    </>
  );
}

function Figure({ name, value }: { name: string; value: number | null }) {
  return (
    <td class={value === null ? "number soft" : "number"} data-name={name}>
      {count(value)}
    </td>
  );
}

const LOOKS: readonly (readonly [IconName, Tone])[] = [
  ["offline", "bad"],
  ["degraded", "warn"],
  ["unknown", "dim"],
  ["online", "good"],
];

function Health({ row }: { row: ModelRow }) {
  const [icon, tone] = LOOKS[rank(row)] ?? ["unknown", "dim"];
  return (
    <span class="modeltab-health" data-tone={tone}>
      <Icon name={icon} />
      {healthText(row)}
    </span>
  );
}

/** Say how well a model is served. */
export function healthText(row: ModelRow): string {
  if (row.replicas === 0) return text.notServed;
  if (row.healthy === null) return text.unknown;
  if (row.healthy === 0) return text.noneHealthy;
  return row.healthy >= row.replicas ? text.allHealthy : text.replicas(row.healthy, row.replicas);
}

function Named({ row }: { row: ModelRow }) {
  const more = row.nodes.length - NODES_NAMED;
  return (
    <span class="modeltab-nodes">
      {row.nodes.slice(0, NODES_NAMED).map((id) => (
        <NodeLink key={id} id={id} name={nameOf(id)} />
      ))}
      {more > 0 ? <span class="soft">+{more}</span> : null}
      {row.silent.length > 0 ? (
        <span class="modeltab-silent" title={text.silentTitle}>
          {text.silent(row.silent.length)}
        </span>
      ) : null}
    </span>
  );
}

function nameOf(id: string): string | undefined {
  return nodeSignal(id)?.value.profile.name;
}

function Nodes({ row }: { row: ModelRow }) {
  const [most, setMost] = useState(NODES_SHOWN);
  const all = [...row.nodes, ...row.silent];
  const more = all.length - most;
  return (
    <>
      <ul class="modeltab-list">
        {all.slice(0, most).map((id) => (
          <NodeLine key={id} id={id} silent={row.silent.includes(id)} />
        ))}
      </ul>
      {more > 0 ? (
        <button type="button" class="button" onClick={() => setMost(most + NODES_SHOWN)}>
          {text.more(Math.min(more, NODES_SHOWN))}
        </button>
      ) : null}
    </>
  );
}

function NodeLine({ id, silent }: { id: string; silent: boolean }) {
  const row = nodeSignal(id)?.value;
  return (
    <li class="modeltab-node">
      <NodeLink id={id} name={row?.profile.name} />
      {row ? <StateBadge state={row.state} reason={row.reason} /> : null}
      <span class="soft">
        {silent
          ? text.lastHere
          : text.requests(count(row?.pulse.running), count(row?.pulse.waiting))}
      </span>
      <span class="soft modeltab-age">
        <Age ms={row?.seenMs ?? null} heard />
      </span>
    </li>
  );
}

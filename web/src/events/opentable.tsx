/** Nodes that want somebody's attention now, and since when. */

import { useState } from "preact/hooks";
import type { Row } from "../fleet/row";
import { nodeSignal } from "../fleet/store";
import { Age, NodeLink, Notice, Said, StateBadge } from "../parts";
import { events as text } from "../text/events";
import { sinceMs } from "./open";

const SHOWN = 10;
/** Of a fleet that is down nobody reads a thousand lines before the events. */

const MESSAGE_MAX = 160;
/** Characters of a sentence in a row. */

export function OpenNow({ rows, nodes }: { rows: readonly Row[]; nodes: number }) {
  const [all, setAll] = useState(false);
  const shown = all ? rows : rows.slice(0, SHOWN);
  return (
    <section class="section" aria-labelledby="open-title" data-testid="open-now">
      <div class="section-head">
        <h2 id="open-title" class="section-title">
          {text.openTitle}
        </h2>
        {rows.length > 0 ? <span class="section-count">{text.openCount(rows.length)}</span> : null}
      </div>
      {rows.length === 0 ? <AllWell nodes={nodes} /> : <Table rows={shown} />}
      {shown.length < rows.length ? (
        <button type="button" class="button events-more" onClick={() => setAll(true)}>
          {text.showAll(rows.length)}
        </button>
      ) : null}
    </section>
  );
}

function AllWell({ nodes }: { nodes: number }) {
  if (nodes === 0) return <p class="section-hint">{text.openNoNodes}</p>;
  return (
    <Notice tone="good" title={text.openNone}>
      <p>{text.openNoneText(nodes)}</p>
    </Notice>
  );
}

function Table({ rows }: { rows: readonly Row[] }) {
  const { openColumn: column } = text;
  return (
    <div class="table-frame">
      <table class="table">
        <caption class="unseen">{text.openCaption}</caption>
        <thead>
          <tr>
            <th scope="col">{column.node}</th>
            <th scope="col">{column.state}</th>
            <th scope="col">{column.message}</th>
            <th scope="col">{column.since}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Line key={row.id} id={row.id} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ id }: { id: string }) {
  const row = nodeSignal(id)?.value;
  if (!row) return null;
  const since = sinceMs(row);
  const { openColumn: column } = text;
  return (
    <tr data-testid="open-row" data-node={id}>
      <th scope="row">
        <NodeLink id={id} name={row.profile.name} />
      </th>
      <td>
        <StateBadge state={row.state} reason={row.reason} />
      </td>
      <td class={row.message ? undefined : "soft"}>
        {row.message ? <Said text={row.message} max={MESSAGE_MAX} /> : text.noMessage}
      </td>
      <td class="events-since" data-name={column.since}>
        {since > 0 ? <Age ms={since} /> : text.sinceUnknown}
      </td>
    </tr>
  );
}

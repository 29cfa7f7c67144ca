/** The nodes as a table. Of a long list only the rows in sight are there, between rows of air. */

import "./table.css";
import { useEffect, useRef } from "preact/hooks";
import { visible } from "../fleet/order";
import { nodeSignal } from "../fleet/store";
import { nodesText as words } from "../text/nodes";
import { type Column, shown } from "./columns";
import { heldIndex, listening, useFocus } from "./focus";
import { HeadCell } from "./head";
import { rowRem } from "./measures";
import { NodeRow } from "./row";
import { wantTrends } from "./trend";
import { useWindow } from "./window";
import { type Run, runsOf } from "./windowing";

export function NodeTable() {
  const list = useRef<HTMLTableSectionElement>(null);
  const ids = visible.value;
  const columns = shown.value;
  const extent = useWindow(list, { items: ids.length, perLine: 1, rem: rowRem.value });
  const held = heldIndex(ids);
  useFocus(list);
  useEffect(() => {
    if (columns.includes("trend")) wantTrends(ids.slice(extent.first, extent.end));
  }, [ids, columns, extent.first, extent.end]);
  const tabbed = ids[held ?? extent.first];
  return (
    <table class="nodes-table" data-testid="node-table" aria-rowcount={ids.length + 1}>
      <caption class="unseen">{words.caption}</caption>
      <thead>
        <tr aria-rowindex={1}>
          {columns.map((column) => (
            <HeadCell key={column} column={column} />
          ))}
        </tr>
      </thead>
      <tbody ref={list} {...listening}>
        {runsOf(extent, ids.length, held).flatMap((run) =>
          run.drawn
            ? rowsOf(ids, run, columns, tabbed)
            : [
                <Air
                  key={`air ${run.first === 0 ? "top" : run.end}`}
                  run={run}
                  columns={columns.length}
                />,
              ],
        )}
      </tbody>
    </table>
  );
}

function rowsOf(
  ids: readonly string[],
  run: Run,
  columns: readonly Column[],
  tabbed: string | undefined,
) {
  return ids.slice(run.first, run.end).flatMap((id, offset) => {
    const node = nodeSignal(id);
    if (!node) return [];
    const index = run.first + offset;
    const tab = id === tabbed;
    return [<NodeRow key={id} id={id} node={node} index={index} columns={columns} tab={tab} />];
  });
}

function Air({ run, columns }: { run: Run; columns: number }) {
  const height = `${(run.end - run.first) * rowRem.value}rem`;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row of air takes no focus.
    <tr class="nodes-air" aria-hidden="true">
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}

/** One row of the table; drawn anew when its own node changed, and not else. */

import type { ReadonlySignal } from "@preact/signals";
import type { Row } from "../fleet/row";
import { toneOf } from "../parts";
import {
  AgentCell,
  GpusCell,
  NameCell,
  RatioFigure,
  SeenCell,
  StateCell,
  VramFigure,
} from "./cells";
import type { Column } from "./columns";
import { chipsShown } from "./measures";
import { ModelChips } from "./models";
import { GpuStrip } from "./strip";
import { Sparkline } from "./trend";
import { type Seen, useNode } from "./usenode";

export interface NodeRowProps {
  id: string;
  node: ReadonlySignal<Row>;
  /** Its place in the whole list, from 0. */
  index: number;
  columns: readonly Column[];
  /** Whether it is the one that tabs lead to. */
  tab: boolean;
}

export function NodeRow({ id, node, index, columns, tab }: NodeRowProps) {
  const seen = useNode(node, id);
  const { row, trusted, opened } = seen;
  return (
    <tr
      class="node-row"
      data-testid="node-row"
      data-node={id}
      data-state={row.state}
      data-tone={toneOf(row.state)}
      data-trust={trusted}
      data-opened={opened ? "" : undefined}
      aria-rowindex={index + 2}
      tabIndex={tab ? 0 : -1}
    >
      {columns.map((column) => {
        const inside = cellOf(column, seen);
        return column === "name" ? (
          <th key={column} scope="row" class="cell-of-name">
            {inside}
          </th>
        ) : (
          <td key={column} class={`cell-of-${column}`}>
            {inside}
          </td>
        );
      })}
    </tr>
  );
}

function cellOf(column: Column, { row, trusted, hot }: Seen) {
  switch (column) {
    case "state":
      return <StateCell row={row} />;
    case "name":
      return <NameCell row={row} hot={hot} />;
    case "gpus":
      return <GpusCell row={row} />;
    case "strip":
      return <GpuStrip row={row} trusted={trusted} />;
    case "vram":
      return <VramFigure row={row} trusted={trusted} />;
    case "models":
      return <ModelChips row={row} most={chipsShown.value} tab={hot ? 0 : -1} />;
    case "seen":
      return <SeenCell row={row} trusted={trusted} />;
    case "agent":
      return <AgentCell row={row} />;
    case "trend":
      return <Sparkline id={row.id} />;
    default:
      return <RatioFigure row={row} trusted={trusted} column={column} />;
  }
}

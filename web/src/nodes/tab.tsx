/** The Nodes tab: the fleet in figures, what is looked for, and the nodes. */

import "./tab.css";
import { useComputed } from "@preact/signals";
import { useId, useRef, useState } from "preact/hooks";
import { moved, reorder, visible } from "../fleet/order";
import { allRows, shape } from "../fleet/store";
import { announce, Icon } from "../parts";
import { useKeys } from "../shell/keys";
import { later } from "../shell/later";
import { nodesText as words } from "../text/nodes";
import { Filters } from "./filters";
import { step } from "./focus";
import { ModelList } from "./models";
import { Summary } from "./summary";
import { NodeTable } from "./table";
import { view } from "./view";
import { Waiting } from "./waiting";
import { useWidth } from "./width";

const NodeCards = later(() => import("./cards"));
const Legend = later(() => import("./legend"));
const Empty = later(() => import("./empty"));

type What = "waiting" | "noNodes" | "noMatch" | "list";

export function NodesTab() {
  const box = useRef<HTMLDivElement>(null);
  const [legend, setLegend] = useState(false);
  const id = useId();
  useWidth(box);
  // Enter is the row's own affair: j and k bring the focus there.
  useKeys({ j: () => step(1), k: () => step(-1) });
  const what = useComputed(whatIsThere).value;
  return (
    <div ref={box} class="nodes">
      <h2 class="unseen">{words.heading}</h2>
      {what === "noNodes" || what === "waiting" ? null : (
        <>
          <Summary />
          <Filters legend={{ open: legend, id, turn: () => setLegend(!legend) }} />
          {legend ? <Legend id={id} /> : null}
        </>
      )}
      <List what={what} />
      {what === "list" ? <ReorderPill /> : null}
      <ModelList />
    </div>
  );
}

function whatIsThere(): What {
  const any = shape.value > 0;
  if (visible.value.length > 0) return "list";
  if (!any) return "waiting";
  return allRows().some((row) => row.state !== "Decommissioned") ? "noMatch" : "noNodes";
}

function List({ what }: { what: What }) {
  switch (what) {
    case "waiting":
      return <Waiting />;
    case "noNodes":
    case "noMatch":
      return <Empty what={what} />;
    default:
      return view.value === "cards" ? <NodeCards /> : <NodeTable />;
  }
}

function ReorderPill() {
  const number = moved.value;
  if (number === 0) return null;
  return (
    <div class="nodes-pill">
      <button
        type="button"
        class="button"
        data-testid="reorder-pill"
        title={words.reorderTitle}
        onClick={() => {
          reorder();
          announce(words.reordered, "reorder");
        }}
      >
        <Icon name="retry" />
        {words.reorder(number)}
      </button>
    </div>
  );
}

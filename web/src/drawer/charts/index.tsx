/** The part with the charts: the last hours, gaps as gaps. */

import "./charts.css";
import { useState } from "preact/hooks";
import { Notice, Spinner } from "../../parts";
import { charts as words } from "../../text/drawer";
import { span } from "../../units";
import { RANGES, type Range, readHistory } from "../detail";
import { Failure } from "../failure";
import { useLoader } from "../loader";
import type { OpenNode } from "../node";
import { Chart } from "./chart";
import { gridOf, PLOTS, told } from "./series";
import { HistoryTable } from "./table";

export function Charts({ node }: { node: OpenNode }) {
  const [range, choose] = useState<Range>("1h");
  return (
    <div class="charts">
      <fieldset class="choice">
        <legend class="unseen">{words.range}</legend>
        {RANGES.map((one) => (
          <label key={one}>
            <input
              type="radio"
              name="chart-range"
              value={one}
              checked={one === range}
              onChange={() => choose(one)}
            />
            {words.ranges[one]}
          </label>
        ))}
      </fieldset>
      <Ranged key={range} node={node} range={range} />
    </div>
  );
}

function Ranged({ node, range }: { node: OpenNode; range: Range }) {
  const history = useLoader((signal) => readHistory(node.id, range, signal), [node, range]);
  const { value, error, since } = history.state.value;
  const grid = gridOf(value);
  const plots = grid === null ? [] : PLOTS.filter((plot) => told(plot, grid).length > 0);
  return (
    <>
      {value === null && since !== null ? (
        <p class="charts-wait">
          {words.loading} <Spinner since={since} />
        </p>
      ) : null}
      {error ? (
        <Failure title={words.failed} error={error} kept={value !== null} again={history} />
      ) : null}
      {value !== null && plots.length === 0 ? (
        <Notice tone="dim" title={words.empty}>
          <p>{words.emptyWhy}</p>
        </Notice>
      ) : null}
      {grid === null || plots.length === 0 ? null : (
        <>
          {plots.map((plot) => (
            <Chart key={plot.key} plot={plot} grid={grid} />
          ))}
          <p class="charts-soft">{words.buckets(span(grid.bucketSeconds))}</p>
          <HistoryTable grid={grid} range={words.ranges[range]} />
        </>
      )}
    </>
  );
}

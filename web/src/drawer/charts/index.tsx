/** The part with the charts: the last hours, gaps as gaps. */

import "./charts.css";
import { useEffect, useMemo } from "preact/hooks";
import { serverNow } from "../../fleet/clock";
import { link } from "../../live/link";
import { Notice, Spinner } from "../../parts";
import { charts as words } from "../../text/drawer";
import { span } from "../../units";
import { go, place } from "../../url";
import { RANGES, type Range, readHistory } from "../detail";
import { Failure } from "../failure";
import { useLoader } from "../loader";
import type { OpenNode } from "../node";
import { Chart } from "./chart";
import { type Grid, gridOf, PLOTS, told } from "./series";
import { HistoryTable } from "./table";

const LATE_MS = 5000;
/** Between the end of a bucket and the next look: its last heartbeats are counted by then. */

/** Milliseconds until the present bucket is over; null: that is not known. */
export function untilNext(grid: Grid | null, nowMs: number): number | null {
  if (grid === null || nowMs === 0) return null;
  const step = grid.bucketSeconds * 1000;
  return step - (nowMs % step) + LATE_MS;
}

export function Charts({ node }: { node: OpenNode }) {
  const asked = place.value.range;
  const range = RANGES.find((one) => one === asked) ?? RANGES[0];
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
              onChange={() => go({ range: one === RANGES[0] ? "" : one }, "replace")}
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
  // The same answer is the same grid: an attempt that begins or fails draws nothing anew.
  const grid = useMemo(() => gridOf(value), [value]);
  useEffect(() => {
    const wait = untilNext(grid, serverNow() ?? 0);
    if (wait === null || link.value.kind === "paused") return;
    const timer = setTimeout(() => void history.load(), wait);
    return () => clearTimeout(timer);
  }, [grid, error, link.value.kind]);
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

/** The same figures as a table, for whoever reads rather than looks; laid out when it is wanted. */

import { useState } from "preact/hooks";
import { charts as words } from "../../text/drawer";
import { type Grid, PLOTS, timeText } from "./series";

export function HistoryTable({ grid, range }: { grid: Grid; range: string }) {
  const [open, setOpen] = useState(false);
  return (
    <details
      class="charts-more"
      data-testid="chart-table"
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>{words.table}</summary>
      {open ? <Rows grid={grid} range={range} /> : null}
    </details>
  );
}

function Rows({ grid, range }: { grid: Grid; range: string }) {
  const columns = PLOTS.flatMap((plot) => plot.lines.map((line) => ({ plot, line })));
  const rows = grid.times.map((time, at) => ({ time, at })).reverse();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <section class="charts-scroll" tabIndex={0} aria-label={words.table}>
      <table class="charts-table">
        <caption class="unseen">{words.caption(words.title, range)}</caption>
        <thead>
          <tr>
            <th scope="col">{words.time}</th>
            {columns.map(({ line }) => (
              <th key={line.field} scope="col">
                {line.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, at }) => (
            <tr key={time}>
              <th scope="row">{timeText(time)}</th>
              {columns.map(({ plot, line }) => {
                const value = grid.columns[line.field][at] ?? null;
                return <td key={line.field}>{value === null ? words.gap : plot.format(value)}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

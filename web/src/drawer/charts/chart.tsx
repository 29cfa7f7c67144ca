/** One plot with its legend, which tells the figures under the pointer, or the last ones. */

import { useEffect, useRef, useState } from "preact/hooks";
import { charts as words } from "../../text/drawer";
import type { Drawing } from "./draw";
import { type Grid, type Line, type Plot, summary, timeText, told } from "./series";

export function Chart({ plot, grid }: { plot: Plot; grid: Grid }) {
  const lines = told(plot, grid);
  const [at, setAt] = useState<number | null>(null);
  const [failed, setFailed] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let drawing: Drawing | null = null;
    let wanted = true;
    nameLanguage();
    import("./draw").then(
      ({ draw }) => {
        if (!wanted || !box.current) return;
        drawing = draw({ box: box.current, plot, grid, lines, onPoint: setAt });
      },
      () => {
        if (wanted) setFailed(true);
      },
    );
    return () => {
      wanted = false;
      drawing?.destroy();
    };
  }, [plot, grid]);
  return (
    <figure class="chart" data-testid={`chart-${plot.key}`}>
      <figcaption class="chart-head">
        <h4 class="chart-title">{plot.title}</h4>
        <Legend plot={plot} grid={grid} lines={lines} at={at} />
      </figcaption>
      {failed ? <p class="charts-soft">{words.drawing}</p> : null}
      <div ref={box} class="chart-box" role="img" aria-label={summary(plot, grid)} />
    </figure>
  );
}

/** uPlot takes the browser's language as it loads, and a browser without one names none that holds. */
function nameLanguage(): void {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    Object.defineProperty(navigator, "language", { value: "en", configurable: true });
  }
}

interface LegendProps {
  plot: Plot;
  grid: Grid;
  lines: readonly Line[];
  at: number | null;
}

function Legend({ plot, grid, lines, at }: LegendProps) {
  const time = at === null ? undefined : grid.times[at];
  return (
    <ul class="chart-legend">
      {lines.map((line) => (
        <li key={line.field}>
          <Swatch line={line} />
          {line.name} <span class="chart-value">{plot.format(shownAt(line, grid, at))}</span>
        </li>
      ))}
      <li class="charts-soft">{time === undefined ? words.latest : timeText(time)}</li>
    </ul>
  );
}

function shownAt(line: Line, grid: Grid, at: number | null): number | null {
  const values = grid.columns[line.field];
  if (at !== null) return values[at] ?? null;
  return values.findLast((value) => value !== null) ?? null;
}

function Swatch({ line }: { line: Line }) {
  return (
    <svg class="chart-swatch" viewBox="0 0 22 4" aria-hidden="true" focusable="false">
      <path
        d="M0 2h22"
        style={{ stroke: `var(${line.colour})` }}
        {...(line.dash.length > 0 ? { "stroke-dasharray": line.dash.join(" ") } : {})}
      />
    </svg>
  );
}

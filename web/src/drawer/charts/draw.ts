/** Draws one plot with uPlot, in the page's colours; its legend is the page's own. */

import "uplot/dist/uPlot.min.css";
import "./draw.css";
import uPlot from "uplot";
import { type Grid, hourText, type Line, type Plot } from "./series";

const HEIGHT = 124;
const LEAST_WIDTH = 160;
const FONT = "11px system-ui, sans-serif";
const AXIS_WIDTH = 58;
/** Pixels: as wide as "1,000 W". */

export interface Drawing {
  destroy(): void;
}

export interface DrawingProps {
  box: HTMLElement;
  plot: Plot;
  grid: Grid;
  lines: readonly Line[];
  /** Which bucket the pointer is at; null: none. */
  onPoint: (at: number | null) => void;
}

/** Draw, keep the width of the box, and draw anew when the theme changes. */
export function draw(props: DrawingProps): Drawing {
  let chart = build(props);
  const sizes = new ResizeObserver(() => chart.setSize(sizeOf(props.box)));
  sizes.observe(props.box);
  const anew = () => {
    chart.destroy();
    chart = build(props);
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", anew);
  const theme = new MutationObserver(anew);
  theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return {
    destroy: () => {
      sizes.disconnect();
      theme.disconnect();
      dark.removeEventListener("change", anew);
      chart.destroy();
    },
  };
}

function sizeOf(box: HTMLElement): { width: number; height: number } {
  return { width: Math.max(LEAST_WIDTH, box.clientWidth), height: HEIGHT };
}

function build({ box, plot, grid, lines, onPoint }: DrawingProps): uPlot {
  const colour = colours(box);
  const options: uPlot.Options = {
    ...sizeOf(box),
    legend: { show: false },
    padding: [8, 12, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "drawer" } },
    scales: { y: { range: (_, __, high) => [0, plot.max ?? Math.max(high * 1.1, 1)] } },
    axes: [
      { ...axis(colour, 26), values: (_, splits) => splits.map(hourText) },
      { ...axis(colour, AXIS_WIDTH), ...valuesOf(plot) },
    ],
    series: [{}, ...lines.map((line) => seriesOf(line, colour))],
    hooks: { setCursor: [(chart) => onPoint(chart.cursor.idx ?? null)] },
  };
  const data = [grid.times, ...lines.map((line) => grid.columns[line.field])];
  return new uPlot(options, data as uPlot.AlignedData, box);
}

function seriesOf(line: Line, colour: (name: string) => string): uPlot.Series {
  return {
    label: line.name,
    stroke: colour(line.colour),
    width: 1.75,
    dash: [...line.dash],
    spanGaps: false,
  };
}

function valuesOf(plot: Plot): Partial<uPlot.Axis> {
  return { values: (_, splits) => splits.map((value) => plot.format(value)), space: 26 };
}

function axis(colour: (name: string) => string, size: number): uPlot.Axis {
  return {
    stroke: colour("--ink-soft"),
    font: FONT,
    size,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1, size: 4 },
  };
}

/** Look colours up as the theme has them: a canvas knows nothing of custom properties. */
function colours(box: HTMLElement): (name: string) => string {
  return (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    box.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
}

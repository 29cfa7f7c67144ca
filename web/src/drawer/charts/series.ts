/** What the charts show: series by their units, and sentences for those who do not see them. */

import type { HistoryView } from "../../api/types";
import { charts as words } from "../../text/drawer";
import { count, percent, UNKNOWN, watts } from "../../units";

export type Field = "util" | "vram" | "cpu" | "memory" | "power" | "running";

export interface Line {
  readonly field: Field;
  readonly name: string;
  /** Name of a colour of the page. */
  readonly colour: string;
  /** Pixels of dashes; empty for a full line. */
  readonly dash: readonly number[];
}

export interface Plot {
  readonly key: "load" | "power" | "requests";
  readonly title: string;
  readonly format: (value: number | null | undefined) => string;
  /** The end of the scale; null: as the figures have it. */
  readonly max: number | null;
  readonly lines: readonly Line[];
}

const requests = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

function decimal(value: number | null | undefined): string {
  return typeof value === "number" ? requests.format(value) : UNKNOWN;
}

export const PLOTS: readonly Plot[] = [
  {
    key: "load",
    title: words.load,
    format: percent,
    max: 1,
    lines: [
      { field: "util", name: words.util, colour: "--accent", dash: [] },
      { field: "vram", name: words.vram, colour: "--warn", dash: [6, 3] },
      { field: "cpu", name: words.cpu, colour: "--good", dash: [2, 2] },
      { field: "memory", name: words.memory, colour: "--dim", dash: [8, 3, 2, 3] },
    ],
  },
  {
    key: "power",
    title: words.power,
    format: watts,
    max: null,
    lines: [{ field: "power", name: words.power, colour: "--accent", dash: [] }],
  },
  {
    key: "requests",
    title: words.requests,
    format: decimal,
    max: null,
    lines: [{ field: "running", name: words.running, colour: "--accent", dash: [] }],
  },
];

export interface Grid {
  /** Seconds since the epoch, the middle of each bucket. */
  readonly times: readonly number[];
  readonly columns: Readonly<Record<Field, readonly (number | null)[]>>;
  readonly bucketSeconds: number;
}

const BUCKETS_MAX = 1000;
/** More than a chart has pixels. */

/** Lay a history on a grid; null if it is none, or says nothing at all. */
export function gridOf(view: HistoryView | null): Grid | null {
  const start = view ? Date.parse(view.start) / 1000 : Number.NaN;
  const step = view?.bucketSeconds ?? 0;
  if (!view || !Number.isFinite(start) || !(step > 0)) return null;
  const length = Math.min(BUCKETS_MAX, view.beats?.length ?? 0, view.util?.length ?? 0);
  const column = (values: readonly (number | null)[] | undefined) =>
    Array.from({ length }, (_, at) => known(values?.[at]));
  const columns = {
    util: column(view.util),
    vram: column(view.vram),
    cpu: column(view.cpu),
    memory: column(view.memory),
    power: column(view.power),
    running: column(view.running),
  };
  const times = Array.from({ length }, (_, at) => start + (at + 0.5) * step);
  return { times, columns, bucketSeconds: step };
}

function known(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** Lines of a plot of which anything is known. */
export function told(plot: Plot, grid: Grid): Line[] {
  return plot.lines.filter((line) => grid.columns[line.field].some((value) => value !== null));
}

/** One sentence for each line: from where to where, and where it is. */
export function summary(plot: Plot, grid: Grid): string {
  return plot.lines
    .map((line) => {
      const values = grid.columns[line.field].filter((value) => value !== null);
      const last = values.at(-1);
      if (last === undefined) return words.nothing(line.name);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      return words.summary(line.name, plot.format(low), plot.format(high), plot.format(last));
    })
    .join("; ");
}

/** A bucket's time of day, and its date where the range has more than one. */
export function timeText(seconds: number): string {
  return count(seconds) === UNKNOWN ? UNKNOWN : clock.format(new Date(seconds * 1000));
}

/** The time of day alone, for an axis. */
export function hourText(seconds: number): string {
  return hour.format(new Date(seconds * 1000));
}

const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

const clock = new Intl.DateTimeFormat("en-GB", {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

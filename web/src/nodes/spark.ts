/** What a sparkline draws: runs of known values as lines; a gap stays a gap. */

type Values = readonly (number | null)[];

/** Give the path of values of 0 to 1 in a box; a value alone between gaps is a dot. */
export function pathOf(values: Values, wide: number, high: number): string {
  const step = values.length > 1 ? wide / (values.length - 1) : 0;
  let path = "";
  let open = false;
  values.forEach((value, index) => {
    if (value === null || !Number.isFinite(value)) {
      open = false;
      return;
    }
    const at = `${round(index * step)} ${round(high * (1 - Math.min(1, Math.max(0, value))))}`;
    path += open ? `L${at}` : `M${at}h.01`;
    open = true;
  });
  return path;
}

/** Give the areas under the lines: one for each run, so that a gap is white to the ground. */
export function areaOf(values: Values, wide: number, high: number): string {
  const step = values.length > 1 ? wide / (values.length - 1) : 0;
  return runs(values)
    .filter((run) => run.length > 1)
    .map((run) => {
      const [first = 0, last = 0] = [run[0], run[run.length - 1]];
      const line = run.map((index) => {
        const value = Math.min(1, Math.max(0, values[index] ?? 0));
        return `L${round(index * step)} ${round(high * (1 - value))}`;
      });
      return `M${round(first * step)} ${high}${line.join("")}L${round(last * step)} ${high}z`;
    })
    .join("");
}

/** Indexes of the known values, by runs without a gap. */
function runs(values: Values): number[][] {
  const found: number[][] = [];
  let open: number[] | null = null;
  values.forEach((value, index) => {
    if (value === null || !Number.isFinite(value)) {
      open = null;
    } else if (open) {
      open.push(index);
    } else {
      open = [index];
      found.push(open);
    }
  });
  return found;
}

export interface Range {
  readonly low: number;
  readonly high: number;
  readonly last: number | null;
}

/** Give lowest, highest and present value; null where nothing is known. */
export function rangeOf(values: Values): Range | null {
  const known = values.filter((value): value is number => value !== null && Number.isFinite(value));
  if (known.length === 0) return null;
  const last = values[values.length - 1] ?? null;
  return { low: Math.min(...known), high: Math.max(...known), last };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

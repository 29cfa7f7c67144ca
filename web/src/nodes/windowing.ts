/** Which rows of a long list there is need of: those in sight, some around, and one that is held. */

export const WINDOWED_FROM = 150;
/** Rows up to which all are there: browsers bear that many, and finding in the page works. */

const OVERSCAN_PX = 300;
/** Drawn beyond either edge, so that a quick turn of the wheel finds rows there. */

const STEP_PX = 200;
/** The window moves by about so much at once: a scrolled pixel is no reason to draw. */

export interface Extent {
  readonly first: number;
  /** Behind the last one. */
  readonly end: number;
}

export interface Sight {
  /** Pixels from the list's upper edge to the upper edge of what is seen; negative: list is below. */
  readonly top: number;
  readonly height: number;
}

/** Lines (not items) that there is need of. */
export function extentOf(sight: Sight, lines: number, lineHeight: number): Extent {
  const step = Math.max(1, Math.floor(STEP_PX / lineHeight));
  const first = Math.floor((sight.top - OVERSCAN_PX) / lineHeight);
  const end = Math.ceil((sight.top + sight.height + OVERSCAN_PX) / lineHeight);
  const down = Math.floor(first / step) * step;
  const up = Math.ceil(end / step) * step;
  const from = Math.min(Math.max(0, down), lines);
  return { first: from, end: Math.min(lines, Math.max(from, up)) };
}

/** A run of lines: drawn, or a gap as high as they are. */
export interface Run extends Extent {
  readonly drawn: boolean;
}

/** Runs that cover all lines; a held line (where the focus is) is drawn wherever it lies. */
export function runsOf(extent: Extent, lines: number, held: number | null): Run[] {
  const drawn: Extent[] = [extent];
  if (held !== null && held >= 0 && held < lines) {
    if (held < extent.first) drawn.unshift({ first: held, end: held + 1 });
    else if (held >= extent.end) drawn.push({ first: held, end: held + 1 });
  }
  const runs: Run[] = [];
  let at = 0;
  for (const { first, end } of drawn) {
    if (first > at) runs.push({ first: at, end: first, drawn: false });
    if (end > first) runs.push({ first, end, drawn: true });
    at = Math.max(at, end);
  }
  if (at < lines) runs.push({ first: at, end: lines, drawn: false });
  return runs;
}

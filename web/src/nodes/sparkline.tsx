/** Utilization and memory of the last half hour, as two lines. */

import "./sparkline.css";
import { useMemo } from "preact/hooks";
import { type Trend, trendOf } from "../fleet/trends";
import { nodesText as words } from "../text/nodes";
import { percent, UNKNOWN } from "../units";
import { areaOf, pathOf, rangeOf } from "./spark";

const WIDE = 90;
const HIGH = 24;
/** The drawing's own units; it is stretched to the room that there is. */

export default function Sparkline({ id }: { id: string }) {
  const trend = useMemo(() => trendOf(id), [id]).value;
  const drawn = useMemo(() => (trend ? draw(trend) : null), [trend]);
  if (!drawn) {
    return <span class="sparkline-none" data-testid="sparkline" title={words.trendWait} />;
  }
  return (
    <svg
      class="sparkline"
      data-testid="sparkline"
      viewBox={`0 -1 ${WIDE} ${HIGH + 2}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={drawn.label}
    >
      <title>{drawn.label}</title>
      <path class="sparkline-area" d={drawn.area} />
      <path class="sparkline-vram" d={drawn.vram} />
      <path class="sparkline-util" d={drawn.util} />
    </svg>
  );
}

function draw({ util, vram }: Trend) {
  return {
    area: areaOf(util, WIDE, HIGH),
    util: pathOf(util, WIDE, HIGH),
    vram: pathOf(vram, WIDE, HIGH),
    label: words.trendLabel(told(util), told(vram)),
  };
}

function told(values: readonly (number | null)[]): string {
  const range = rangeOf(values);
  if (!range) return words.trendUnknown;
  const last = range.last === null ? UNKNOWN : percent(range.last);
  return words.trendPart(percent(range.low), percent(range.high), last);
}

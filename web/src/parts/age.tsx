/** How long ago something was, by the server's clock; it ticks, and alone. */

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { now } from "../fleet/clock";
import { countedTo } from "../fleet/staleness";
import { parts } from "../text/parts";
import { moment, span, UNKNOWN } from "../units";

/** Say how long ago a moment was; `nowMs` 0: nobody knows what time it is. */
export function ageText(ms: number | null, nowMs: number): string {
  if (ms === null || !Number.isFinite(ms)) return parts.never;
  return nowMs === 0 ? UNKNOWN : parts.ago(span((nowMs - ms) / 1000));
}

export interface AgeProps {
  /** Milliseconds of the server's clock; null: it never was. */
  ms: number | null;
  /** It is when a node spoke: where heartbeats are not counted, its age stands still. */
  heard?: boolean;
}

export function Age({ ms, heard = false }: AgeProps) {
  const text = useMemo(
    () => computed(() => ageText(ms, heard && now.value > 0 ? countedTo(now.value) : now.value)),
    [ms, heard],
  );
  if (ms === null || !Number.isFinite(ms)) return <span data-testid="age">{parts.never}</span>;
  const full = moment(ms);
  return (
    <time data-testid="age" class="age" dateTime={full} title={full}>
      {text}
    </time>
  );
}

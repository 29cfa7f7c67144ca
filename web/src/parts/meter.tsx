/** A part of a whole as a bar with its figure; hatched where nobody knows. */

import "./meter.css";
import { parts } from "../text/parts";
import type { Tone } from "./badge";

export interface MeterProps {
  /** 0 to 1; null: not known. */
  value: number | null;
  label: string;
  /** The figure as people read it; stands beside the bar. */
  text: string;
  tone?: Tone | undefined;
  /** Older than it should be. */
  dimmed?: boolean | undefined;
}

export function Meter({ value, label, text, tone, dimmed }: MeterProps) {
  const full = value === null || !Number.isFinite(value) ? null : Math.min(1, Math.max(0, value));
  return (
    <span class="meter" data-tone={tone} data-dimmed={dimmed ? "" : undefined}>
      {full === null ? (
        <span class="unseen">{parts.meterOf(label, text)}</span>
      ) : (
        <meter
          class="unseen"
          min={0}
          max={100}
          value={Math.round(full * 100)}
          aria-label={label}
          aria-valuetext={text}
        />
      )}
      <span
        class={full === null ? "meter-bar meter-unknown" : "meter-bar"}
        title={label}
        aria-hidden="true"
      >
        {full === null ? null : <span class="meter-full" style={{ width: `${full * 100}%` }} />}
      </span>
      <span class="meter-text" aria-hidden="true">
        {text}
      </span>
    </span>
  );
}

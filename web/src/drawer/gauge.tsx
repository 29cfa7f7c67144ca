/** A measure with its bar, its figure and the mark from which on it is too much. */

import "./gauge.css";
import type { Tone } from "../parts";

export interface GaugeProps {
  label: string;
  /** 0 to 1; null: not known. */
  value: number | null;
  text: string;
  tone?: Tone | undefined;
  /** 0 to 1: where the mark stands. */
  mark?: number | null | undefined;
  /** What the mark means. */
  markTitle?: string | undefined;
}

export function Gauge({ label, value, text, tone, mark, markTitle }: GaugeProps) {
  const told = markTitle ? `${text}, ${markTitle}` : text;
  return (
    <div class="gauge" data-tone={tone}>
      <span class="gauge-label" aria-hidden={value === null ? undefined : "true"}>
        {label}
      </span>
      <span class="gauge-text" aria-hidden={value === null ? undefined : "true"}>
        {text}
      </span>
      {value === null ? null : (
        <meter
          class="unseen"
          min={0}
          max={100}
          value={Math.round(value * 100)}
          aria-label={label}
          aria-valuetext={told}
        />
      )}
      <span class={value === null ? "gauge-bar gauge-unknown" : "gauge-bar"} aria-hidden="true">
        {value === null ? null : (
          <span class="gauge-full" style={{ width: `${Math.min(1, Math.max(0, value)) * 100}%` }} />
        )}
        {mark === null || mark === undefined ? null : (
          <span
            class="gauge-mark"
            title={markTitle}
            style={{ insetInlineStart: `${mark * 100}%` }}
          />
        )}
      </span>
    </div>
  );
}

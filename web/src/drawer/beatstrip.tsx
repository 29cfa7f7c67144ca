/** The last sixty heartbeats: a mark for each that told from the others by shape, not by colour alone. */

import "./beatstrip.css";
import { head, strip as words } from "../text/drawer";
import { moment, span } from "../units";
import { beatsOf, type Slot } from "./beats";

export interface BeatStripProps {
  beats: unknown;
  intervalSeconds: number;
  nowMs: number | null;
}

export function BeatStrip({ beats, intervalSeconds, nowMs }: BeatStripProps) {
  const { slots, onTime, late, missed } = beatsOf(beats, intervalSeconds, nowMs);
  const told = onTime + late + missed;
  const text = told === 0 ? words.nothing : words.says(onTime, late, missed);
  return (
    <div class="beats" data-testid="heartbeat-strip">
      <div class="beats-words">
        <span class="beats-title">{words.title}</span>
        <span class="beats-text">{text}</span>
        <span class="beats-every">{words.every(span(intervalSeconds))}</span>
      </div>
      <div class="beats-row" role="img" aria-label={`${words.title}: ${text}`}>
        {slots.map((slot, position) => (
          <span key={position} class="beats-slot" data-kind={slot.kind} title={titleOf(slot)} />
        ))}
      </div>
    </div>
  );
}

function titleOf(slot: Slot): string {
  if (slot.atMs === null) return words[slot.kind];
  const seq = slot.seq === null ? "" : ` (#${slot.seq})`;
  return `${words[slot.kind]}: ${moment(slot.atMs)}${seq}`;
}

/** Say how far a node's clock is off. */
export function skewText(seconds: number | null): string | null {
  if (seconds === null) return null;
  const off = Math.abs(seconds);
  if (off < 0.05) return head.inStep;
  const length = off < 10 ? `${off.toFixed(1)} s` : span(off);
  return seconds > 0 ? head.ahead(length) : head.behind(length);
}

/** A node's state: a picture, the word, and the reason where there is one. */

import "./badge.css";
import { meanings } from "../text/parts";
import { Icon, type IconName } from "./icon";
import { Said } from "./said";

export type Tone = "good" | "warn" | "bad" | "calm" | "dim";

const LOOKS: Readonly<Record<string, readonly [IconName, Tone]>> = {
  Online: ["online", "good"],
  Degraded: ["degraded", "warn"],
  Stale: ["stale", "warn"],
  Offline: ["offline", "bad"],
  Draining: ["draining", "calm"],
  Unknown: ["unknown", "dim"],
  Decommissioned: ["decommissioned", "dim"],
};

const STATE_MAX = 24;
/** Characters of a state's name; those that the page has not heard of may be longer. */

const REASON_MAX = 48;
/** Characters of a reason inside a row. */

/** Give a state's tone, for marks beside it; one that nobody has heard of is shown as Unknown is. */
export function toneOf(state: string): Tone {
  return LOOKS[state]?.[1] ?? "dim";
}

/** Give a state's picture. */
export function iconOf(state: string): IconName {
  return LOOKS[state]?.[0] ?? "unknown";
}

export interface StateBadgeProps {
  state: string;
  reason?: string | null;
}

export function StateBadge({ state, reason }: StateBadgeProps) {
  return (
    <span class="badge" data-testid="state-badge" data-state={state} data-tone={toneOf(state)}>
      <span class="badge-state" title={meanings[state]}>
        <Icon name={iconOf(state)} />
        <Said text={state} max={STATE_MAX} />
      </span>
      {reason ? (
        <span class="badge-reason">
          <Said text={reason} max={REASON_MAX} />
        </span>
      ) : null}
    </span>
  );
}

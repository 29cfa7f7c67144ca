/** The fleet in figures; each count of a state is a filter. */

import "./summary.css";
import type { ComponentChildren } from "preact";
import { now } from "../fleet/clock";
import { STATES } from "../fleet/row";
import { behind } from "../fleet/staleness";
import { type Totals, totals } from "../fleet/totals";
import { feed } from "../live/link";
import { ageText, cut, Icon, iconOf, Meter, Said, toneOf } from "../parts";
import { nodesText as words } from "../text/nodes";
import { bytes, count, percent, span, UNKNOWN, watts } from "../units";
import { go, place } from "../url";
import { usedOf } from "./figures";
import { Flash } from "./flash";
import { stateNames, toggled } from "./states";

const ALWAYS = new Set(["Online", "Degraded", "Stale", "Offline"]);
/** Counts that are there at zero, too: that none is offline is worth saying. */

/** States to be counted: those that always are, those that occur, and those that are filtered by. */
export function statesShown(counts: Readonly<Record<string, number>>, asked: string): string[] {
  const picked = new Set(stateNames(asked));
  const known = STATES.filter(
    (state) => ALWAYS.has(state) || counts[state] || picked.has(state.toLowerCase()),
  );
  const others = Object.keys(counts).filter(
    (state) => counts[state] && !STATES.some((one) => one === state),
  );
  return [...known, ...others.sort()];
}

export function Summary() {
  const all = totals.value;
  return (
    <section class="summary" data-testid="summary" aria-label={words.summary}>
      <States counts={all.states} />
      <dl class="summary-figures">
        <Gpus all={all} />
        <Vram all={all} />
        <Tile name={words.power}>
          <span class="summary-figure">{watts(all.power)}</span>
        </Tile>
        <Tile name={words.models}>
          <button
            type="button"
            class="summary-link"
            data-testid="summary-models"
            onClick={() => go({ tab: "models" })}
          >
            <span class="summary-figure">{count(all.models)}</span> {words.served}
          </button>
        </Tile>
        <Tile name={words.requests}>
          <span class="summary-figure">{count(all.running)}</span> {words.running}
          <span class="summary-soft">
            {" · "}
            {count(all.waiting)} {words.waiting}
          </span>
        </Tile>
        <Ingest all={all} />
      </dl>
    </section>
  );
}

function States({ counts }: { counts: Readonly<Record<string, number>> }) {
  const asked = place.value.state;
  const picked = new Set(stateNames(asked));
  return (
    <ul class="summary-states" aria-label={words.states}>
      {statesShown(counts, asked).map((state) => {
        const number = counts[state] ?? 0;
        const on = picked.has(state.toLowerCase());
        return (
          <li key={state}>
            <button
              type="button"
              class="summary-state"
              data-testid={`count-${state}`}
              data-tone={number > 0 ? toneOf(state) : "none"}
              aria-pressed={on}
              title={words.onlyState(cut(state, 64), number, on)}
              onClick={() => go({ state: toggled(place.peek().state, state) })}
            >
              <Icon name={iconOf(state)} />
              <Flash text={count(number)} class="summary-number" />
              <Said text={state} max={24} />
            </button>
          </li>
        );
      })}
    </ul>
  );
}

interface TileProps {
  name: string;
  wide?: boolean;
  title?: string | undefined;
  children: ComponentChildren;
}

function Tile({ name, wide, title, children }: TileProps) {
  return (
    <div class={wide ? "summary-tile summary-wide" : "summary-tile"} title={title}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Gpus({ all }: { all: Totals }) {
  const parts = [
    [words.busy, all.gpusBusy],
    [words.idle, all.gpusIdle],
    [words.unknown, all.gpusUnknown],
  ] as const;
  const mean = all.utilization === null ? null : words.util(percent(all.utilization));
  return (
    <Tile name={words.gpus} wide title={mean ?? undefined}>
      <span class="summary-parts">
        {parts.map(([name, number]) => (
          <span key={name}>
            <span class="summary-figure">{count(number)}</span> {name}
          </span>
        ))}
      </span>
      <span class="summary-stack" aria-hidden="true">
        {parts.map(([name, number]) => (
          <i key={name} class={`summary-bar summary-bar-${name}`} style={{ flexGrow: number }} />
        ))}
      </span>
    </Tile>
  );
}

function Vram({ all }: { all: Totals }) {
  const { vramBytes, vramUsedBytes, vramKnownBytes } = all;
  const known = vramKnownBytes ?? vramBytes;
  const ratio = known && vramUsedBytes !== null ? vramUsedBytes / known : null;
  const partly = vramBytes !== null && known !== null && known < vramBytes;
  const text =
    vramBytes === null && vramUsedBytes === null ? UNKNOWN : usedOf(vramUsedBytes, known ?? 0);
  return (
    <Tile name={words.vram} wide title={partly ? words.ofKnown(bytes(vramBytes)) : undefined}>
      <span class="summary-vram">
        <Meter value={ratio} label={words.vram} text={text} />
      </span>
    </Tile>
  );
}

/** How far the way from the nodes to here is behind; draws alone each second. */
function Ingest({ all }: { all: Totals }) {
  const state = feed.value;
  const lag = behind(state) && state.stale ? words.stalled : lagText(state.lag);
  const last = all.lastSeenMs === null ? UNKNOWN : ageText(all.lastSeenMs, now.value);
  return (
    <Tile name={words.ingest}>
      <span class="summary-figure" data-late={behind(state) ? "" : undefined}>
        {lag}
      </span>
      <span class="summary-soft">
        {" · "}
        {words.lastEvent} {last}
      </span>
    </Tile>
  );
}

function lagText(lag: number | null): string {
  return lag === null ? UNKNOWN : words.lagOf(span(lag));
}

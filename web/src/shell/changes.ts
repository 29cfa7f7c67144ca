/** Says aloud which nodes changed their state: the gravest by name, the others by number. */

import { effect } from "@preact/signals";
import { STATES } from "../fleet/row";
import { allRows, shape } from "../fleet/store";
import { announce, cut } from "../parts";
import { shell } from "../text/shell";

const GATHER_MS = 2000;
/** A switch that fails takes many nodes along; they are told in one sentence. */

const NAME_MAX = 40;
/** Characters of a name that is read out. */

export interface Told {
  readonly name: string;
  readonly state: string;
}

/** Put changes into one sentence; null if there are none. */
export function changeText(changes: readonly Told[]): string | null {
  const rank = (state: string) => {
    const place = (STATES as readonly string[]).indexOf(state);
    return place < 0 ? STATES.length : place;
  };
  const [first, ...others] = [...changes].sort((a, b) => rank(a.state) - rank(b.state));
  return first ? shell.changed(cut(first.name, NAME_MAX), first.state, others.length) : null;
}

/** Remembers states, and tells which differ from the last time. */
export class Differences {
  private before: Map<string, string> | null = null;

  /** The first look is no change. */
  look(rows: Iterable<{ id: string; state: string; name: string }>): Map<string, Told> {
    const after = new Map<string, string>();
    const found = new Map<string, Told>();
    for (const row of rows) {
      after.set(row.id, row.state);
      const known = this.before?.get(row.id);
      if (known !== undefined && known !== row.state) {
        found.set(row.id, { name: row.name, state: row.state });
      }
    }
    this.before = after.size > 0 ? after : null;
    return found;
  }
}

/** Keep telling; gives what ends it. */
export function tellChanges(): () => void {
  const differences = new Differences();
  const waiting = new Map<string, Told>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const speak = () => {
    timer = undefined;
    const text = changeText([...waiting.values()]);
    waiting.clear();
    if (text) announce(text, "states");
  };
  const stop = effect(() => {
    shape.value;
    const rows = allRows().map(({ id, state, profile }) => ({ id, state, name: profile.name }));
    for (const [id, told] of differences.look(rows)) waiting.set(id, told);
    if (waiting.size > 0) timer ??= setTimeout(speak, GATHER_MS);
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

/** Which nodes are asked for: filters, and the words of a search, with the API's own meaning. */

import { computed, type ReadonlySignal } from "@preact/signals";
import { fleetText } from "../text/fleet";
import { type Place, place } from "../url";
import { type Row, STATES } from "./row";
import { versionTest } from "./version";

export const WORDS_MAX = 16;
/** Most words of a search; as in the API. */

export const FILTER_MAX = 512;
/** Longest filter, in characters; as in the API. */

type Test = (row: Row) => boolean;

export interface Query {
  readonly tests: readonly Test[];
  /** Nodes that were given up are asked for, too. */
  readonly withGone: boolean;
  /** Nothing is asked for: all nodes match. */
  readonly empty: boolean;
  /** What of it cannot be meant, in words; null: nothing. */
  readonly error: string | null;
}

type Asked = Pick<Place, "q" | "state" | "model" | "gpu">;

const TYPED = /^(state|phase|gpu|model|label|version):(.+)$/i;
const BY_NAME = new Map<string, string>(STATES.map((state) => [state.toLowerCase(), state]));

/** Read what a place asks for; never throws: what cannot be meant is told by `error`. */
export function parseQuery(asked: Asked): Query {
  const reader = new Reader();
  for (const kind of ["state", "model", "gpu"] as const) {
    if (asked[kind].trim()) reader.typed(kind, asked[kind].slice(0, FILTER_MAX).trim());
  }
  if (asked.q.length > FILTER_MAX) reader.complain(fleetText.tooLong(FILTER_MAX));
  const words = asked.q
    .slice(0, FILTER_MAX)
    .split(/\s+/)
    .filter((word) => word);
  if (words.length > WORDS_MAX) reader.complain(fleetText.tooManyWords(words.length, WORDS_MAX));
  for (const word of words.slice(0, WORDS_MAX)) reader.word(word);
  const { tests, withGone, error } = reader;
  return { tests, withGone, empty: tests.length === 0, error };
}

/** Whether a node was asked for. */
export function matches(row: Row, query: Query): boolean {
  if (row.state === "Decommissioned" && !query.withGone) return false;
  return query.tests.every((test) => test(row));
}

/** What the present place asks for. */
export const query: ReadonlySignal<Query> = (() => {
  // Only these four: opening a drawer must not ask anew.
  const key = computed(() => {
    const { q, state, model, gpu } = place.value;
    return JSON.stringify([q, state, model, gpu]);
  });
  return computed(() => {
    const [q = "", state = "", model = "", gpu = ""] = JSON.parse(key.value) as string[];
    return parseQuery({ q, state, model, gpu });
  });
})();

/** What of the present search cannot be meant, in words; null: nothing. */
export const queryError: ReadonlySignal<string | null> = computed(() => query.value.error);

class Reader {
  readonly tests: Test[] = [];
  withGone = false;
  error: string | null = null;

  complain(text: string): void {
    this.error ??= text;
  }

  word(word: string): void {
    const [, kind, text] = TYPED.exec(word) ?? [];
    if (kind && text) {
      this.typed(kind.toLowerCase(), text);
      return;
    }
    const folded = word.toLowerCase();
    this.tests.push((row) => textOf(row).includes(folded));
  }

  typed(kind: string, text: string): void {
    const folded = text.toLowerCase();
    if (kind === "state" || kind === "phase") this.states(folded);
    else if (kind === "model") this.tests.push((row) => anyHas(row.profile.models, folded));
    else if (kind === "gpu")
      this.tests.push((row) =>
        anyHas(
          row.profile.gpus?.map((gpu) => gpu.model),
          folded,
        ),
      );
    else this.tests.push(kind === "label" ? labelTest(text) : versionTest(text));
  }

  /** A state that this page has not heard of may be one all the same: it is looked for, too. */
  private states(text: string): void {
    const names = new Set(
      text
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name),
    );
    for (const name of names) {
      if (!BY_NAME.has(name)) {
        this.complain(fleetText.noSuchState(name.slice(0, 40), STATES.join(", ")));
      }
    }
    this.withGone ||= names.has("decommissioned");
    this.tests.push((row) => names.has(row.state.toLowerCase()));
  }
}

function anyHas(names: readonly string[] | null | undefined, folded: string): boolean {
  return names?.some((name) => name.toLowerCase().includes(folded)) ?? false;
}

function labelTest(text: string): Test {
  const at = text.indexOf("=");
  if (at < 0) return (row) => Object.hasOwn(row.labels, text);
  const [key, value] = [text.slice(0, at), text.slice(at + 1)];
  return (row) => Object.hasOwn(row.labels, key) && row.labels[key] === value;
}

const texts = new WeakMap<Row["profile"], string>();

/** All that free words are looked for in. Kept by the profile: a heartbeat brings no other. */
function textOf(row: Row): string {
  const kept = texts.get(row.profile);
  if (kept !== undefined) return kept;
  const { name, address, agent, driver, transport, gpus, models } = row.profile;
  const words = [
    ...[row.id, name, row.headscaleId, address, agent, driver, transport],
    ...(gpus ?? []).map((gpu) => gpu.model),
    ...(models ?? []),
    ...Object.entries(row.labels).map(([key, value]) => `${key}=${value}`),
  ];
  const text = words
    .filter((word) => word)
    .join("\n")
    .toLowerCase();
  texts.set(row.profile, text);
  return text;
}

/** A list of the org that is looked at and not changed here: asked for once, with all its parts. */

import { useEffect, useState } from "preact/hooks";
import { ask, DEADLINE_SECONDS } from "../api/http";
import { Notice, Spinner } from "../parts";
import { access } from "../text/access";

const PARTS_MAX = 10;
/** Parts of a list that are asked for: a thousand lines are read by nobody. */

export interface Found<T> {
  /** Null: nothing came yet. */
  readonly list: readonly T[] | null;
  readonly error: string | null;
  readonly since: number;
  readonly again: () => void;
}

/** Ask for a list, part after part. */
export function useOrgList<T>(path: string, name: string): Found<T> {
  const [list, setList] = useState<readonly T[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [since, setSince] = useState(() => performance.now());
  useEffect(() => {
    const stop = new AbortController();
    setError(null);
    allOf<T>(path, name, stop.signal).then(
      (found) => !stop.signal.aborted && setList(found),
      (why: Error) => !stop.signal.aborted && setError(why.message),
    );
    return () => stop.abort();
  }, [since]);
  return { list, error, since, again: () => setSince(performance.now()) };
}

async function allOf<T>(path: string, name: string, signal: AbortSignal): Promise<T[]> {
  const all: T[] = [];
  let after: string | null = null;
  for (let part = 0; part < PARTS_MAX; part += 1) {
    const asked: string = after ? `${path}?after=${encodeURIComponent(after)}` : path;
    const { value } = await ask<Record<string, unknown>>(asked, { signal });
    const found = value?.[name];
    if (Array.isArray(found)) all.push(...(found as T[]));
    after = typeof value?.next === "string" ? value.next : null;
    if (after === null) break;
  }
  return all;
}

interface Words {
  readonly none: string;
  readonly failed: (why: string) => string;
}

/** What stands there in place of a table; null: there is something to show. */
export function Instead<T>({ found, words }: { found: Found<T>; words: Words }) {
  const { list, error, since, again } = found;
  if (error) {
    return (
      <Notice
        tone="bad"
        role="alert"
        title={words.failed(error)}
        actions={
          <button type="button" class="button" onClick={again}>
            {access.again}
          </button>
        }
      />
    );
  }
  if (list === null) return <Spinner since={since} deadlineSeconds={DEADLINE_SECONDS} />;
  return <p class="section-hint">{words.none}</p>;
}

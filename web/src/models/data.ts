/** The models as the API has them, asked again when the fleet changes its shape. */

import { effect, type ReadonlySignal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask } from "../api/http";
import type { ModelView } from "../api/types";
import { session } from "../fleet/session";
import { shape } from "../fleet/store";
import { link } from "../live/link";

const SETTLE_MS = 2000;
/** A rack that comes back changes the shape many times; the API itself looks each 2 s. */

const AGAIN_MS = 30_000;
/** Health changes without the shape. */

export interface Models {
  readonly list: readonly ModelView[] | null;
  readonly error: string | null;
  /** Where the stopwatch stood when it was asked first. */
  readonly since: number;
}

const NOTHING: Models = { list: null, error: null, since: 0 };

const current = signal<Models>(NOTHING);
let etag: string | null = null;

// What belonged to a session that is over stays nowhere.
effect(() => {
  if (session.value !== null) return;
  etag = null;
  current.value = NOTHING;
});

export const models: ReadonlySignal<Models> = current;

/** Ask now. What was known stays where nothing new is learned. */
export async function loadModels(): Promise<void> {
  if (current.peek().since === 0) current.value = { ...current.peek(), since: performance.now() };
  try {
    const answer = await ask<ModelView[]>("/api/fabric/models", { etag });
    if (session.peek() === null) return;
    if (answer.value) etag = answer.headers.get("ETag");
    const list = Array.isArray(answer.value) ? answer.value.filter(sound) : current.peek().list;
    current.value = { ...current.peek(), list, error: null };
  } catch (error) {
    current.value = { ...current.peek(), error: (error as Error).message };
  }
}

function sound(view: ModelView): boolean {
  return typeof view?.model === "string" && Array.isArray(view.nodes);
}

/** Keep them fresh while the tab is open, unless the page is paused. */
export function useModels(): Models {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let open = true;
    const soon = (ms: number) => {
      clearTimeout(timer);
      if (open) timer = setTimeout(again, ms);
    };
    const again = () => {
      const frozen = link.peek().kind === "paused";
      (frozen ? Promise.resolve() : loadModels()).then(() => soon(AGAIN_MS));
    };
    let first = true;
    const stop = shape.subscribe(() => {
      if (!first) soon(SETTLE_MS);
      first = false;
    });
    again();
    return () => {
      open = false;
      stop();
      clearTimeout(timer);
    };
  }, []);
  return current.value;
}

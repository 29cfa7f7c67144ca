/** One thing that is read from the API and may be read again; what was read before is kept. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError } from "../api/http";
import { endSession } from "../fleet/session";

export interface Loaded<T> {
  /** The last good answer, whatever failed since. */
  readonly value: T | null;
  /** Why the last attempt failed. */
  readonly error: ApiError | null;
  /** Where the page's stopwatch stood when the running attempt began; null: none runs. */
  readonly since: number | null;
}

export class Loader<T> {
  readonly #read: (signal: AbortSignal) => Promise<T>;
  readonly #state = signal<Loaded<T>>({ value: null, error: null, since: null });
  #running: AbortController | null = null;

  constructor(read: (signal: AbortSignal) => Promise<T>) {
    this.#read = read;
  }

  get state(): ReadonlySignal<Loaded<T>> {
    return this.#state;
  }

  /** Read, unless that is under way. */
  async load(): Promise<void> {
    if (this.#running) return;
    const running = new AbortController();
    this.#running = running;
    this.#state.value = { ...this.#state.peek(), since: performance.now() };
    try {
      const value = await this.#read(running.signal);
      this.#end(running, { value, error: null, since: null });
    } catch (thrown) {
      const error = apiError(thrown);
      if (error.signedOut) endSession();
      this.#end(running, { value: this.#state.peek().value, error, since: null });
    }
  }

  /** Give the running attempt up; its answer goes nowhere. */
  close(): void {
    this.#running?.abort();
    this.#running = null;
  }

  #end(running: AbortController, state: Loaded<T>): void {
    if (this.#running !== running) return;
    this.#running = null;
    this.#state.value = state;
  }
}

/** What was thrown, as an error that says at which step it ended. */
export function apiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError("network", "the API cannot be reached");
}

/** Read once for a component, anew when what it depends on changes; ends with the component. */
export function useLoader<T>(
  read: (signal: AbortSignal) => Promise<T>,
  depends: readonly unknown[],
): Loader<T> {
  const loader = useMemo(() => new Loader(read), depends);
  useEffect(() => {
    void loader.load();
    return () => loader.close();
  }, [loader]);
  return loader;
}

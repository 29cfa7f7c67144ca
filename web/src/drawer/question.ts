/** The live question to one node: one at a time, and never an answer that is another node's. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { type ApiError, ask } from "../api/http";
import type { LiveView } from "../api/types";
import { serverNow } from "../fleet/clock";
import { settings } from "../fleet/settings";
import { nodePath } from "./detail";
import { type Difference, differences } from "./diff";
import { at, flagAt, numberAt, textAt } from "./json";
import { apiError } from "./loader";
import { readStatus, type Status } from "./status";

const MARGIN_MS = 15_000;
/** What the page gives the API beyond the node's own deadline: a turn and the database with it. */

const REST_SECONDS = 2;
/** After a refusal that names no time. */

export interface Heard {
  readonly kind: "heard";
  readonly seconds: number | null;
  readonly address: string | null;
  /** Whether it looked at its sources for this; null: it did not say. */
  readonly fresh: boolean | null;
  /** Milliseconds of the server's clock at which it came. */
  readonly atMs: number | null;
  readonly message: unknown;
  readonly status: Status | null;
  /** Null: there was nothing to compare with. */
  readonly changes: readonly Difference[] | null;
}

export interface Failed {
  readonly kind: "failed";
  /** The API's own step, or `network`, `wait`, `http`, `gone`, `signedOut`. */
  readonly step: string;
  readonly message: string | null;
  /** Where the page's stopwatch has to be before the next try; null: at once. */
  readonly retryAt: number | null;
}

export type Live =
  | { readonly kind: "idle" }
  | { readonly kind: "asking"; readonly since: number }
  | Heard
  | Failed;

export class LiveQuestion {
  readonly #id: string;
  readonly #state = signal<Live>({ kind: "idle" });
  readonly #last = signal<Heard | null>(null);
  #running: AbortController | null = null;

  constructor(id: string) {
    this.#id = id;
  }

  get state(): ReadonlySignal<Live> {
    return this.#state;
  }

  /** The last live answer, whatever failed since. */
  get last(): ReadonlySignal<Heard | null> {
    return this.#last;
  }

  /** Ask, unless that is under way; `cached` gives what to compare with once there is an answer. */
  async ask(cached: () => unknown): Promise<void> {
    if (this.#running) return;
    const running = new AbortController();
    this.#running = running;
    this.#state.value = { kind: "asking", since: performance.now() };
    try {
      const { value } = await ask<LiveView>(nodePath(this.#id, "/live"), {
        signal: running.signal,
        deadlineMs: settings.peek().liveDeadlineSeconds * 1000 + MARGIN_MS,
      });
      this.#end(running, answered(value, cached()));
    } catch (error) {
      this.#end(running, refused(apiError(error)));
    }
  }

  /** Give the running question up. */
  close(): void {
    this.#running?.abort();
    this.#running = null;
    if (this.#state.peek().kind === "asking") this.#state.value = { kind: "idle" };
  }

  #end(running: AbortController, state: Heard | Failed): void {
    if (this.#running !== running) return;
    this.#running = null;
    if (state.kind === "heard") this.#last.value = state;
    this.#state.value = state;
  }
}

/** Read an answer of 200: the node's own word, or the step at which the question ended. */
export function answered(view: unknown, cached: unknown): Heard | Failed {
  const message = at(view, "status");
  const status = readStatus(message);
  if (flagAt(view, "live") !== true) {
    return {
      kind: "failed",
      step: textAt(view, "step") ?? "body",
      message: textAt(view, "message"),
      retryAt: null,
    };
  }
  return {
    kind: "heard",
    seconds: numberAt(view, "seconds"),
    address: textAt(view, "address"),
    fresh: flagAt(view, "fresh"),
    atMs: serverNow(),
    message,
    status,
    changes: readStatus(cached) === null ? null : differences(cached, message),
  };
}

/** Say why there was no answer at all. */
export function refused(error: ApiError): Failed {
  const rest = error.retryAfter ?? (error.status === 429 ? REST_SECONDS : null);
  return {
    kind: "failed",
    step: stepOf(error),
    message: error.status === 0 ? null : error.message,
    retryAt: rest === null ? null : performance.now() + rest * 1000,
  };
}

function stepOf(error: ApiError): string {
  if (error.step === "timeout") return "wait";
  if (error.step === "network") return "network";
  if (error.status === 404) return "gone";
  if (error.status === 401) return "signedOut";
  return "http";
}

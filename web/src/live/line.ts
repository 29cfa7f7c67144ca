/** The page's connection: the list first, then the stream, and the list again where there is none. */

import { ApiError } from "../api/http";
import { learn } from "../fleet/clock";
import { askWho, endSession } from "../fleet/session";
import { loadSettings } from "../fleet/settings";
import { apply } from "../fleet/store";
import { Frame } from "./frame";
import { Inbox } from "./inbox";
import { linkSignal } from "./link";
import { type Beside, readList } from "./list";
import { pauseMs, wait } from "./pause";
import { positionOf } from "./position";
import { receive, tellFeed } from "./receive";
import type { ServerEvent } from "./sse";
import { type Ended, ended, follow } from "./stream";

const ATTEMPTS = 3;
/** Failures in a row after which the list is asked for instead. */

const POLL_MS = 30_000;
/** Milliseconds between two such questions: a heartbeat. */

const POLLS = 2;
/** Questions between two attempts to have the stream after all. */

const LIVED_MS = 5000;
/** A stream that ends sooner is a failure, whatever came by it: else it is asked for each second. */

const SIGNED_OUT = 401;
/** The session has ended, or there is none: asking again is of no use. */

/** One page's connection, until it is ended. */
export class Line {
  readonly #inbox = new Inbox();
  readonly #frame = new Frame(() => apply(this.#inbox.take()));
  /** Ends everything: a pause, or the page's end. */
  #stop = new AbortController();
  /** Ends a wait. */
  #early = new AbortController();
  /** Ends the present stream, for another at once. */
  #again = new AbortController();
  #position: string | null = null;
  #etag: string | null = null;
  #loaded = false;
  #aside = false;
  #failures = 0;

  run(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    if (!this.#loaded) linkSignal.value = { kind: "connecting" };
    void this.#loop(this.#stop.signal);
  }

  pause(): void {
    this.#stop.abort();
    this.#flush();
    linkSignal.value = { kind: "paused" };
  }

  end(): void {
    this.#stop.abort();
    this.#frame.cancel();
  }

  hurry(): void {
    this.#early.abort();
  }

  /** The machine slept, or its clock was set: hear the time anew, over a connection that lives. */
  reconnect(): void {
    this.#again.abort();
    this.#early.abort();
  }

  /**
   * Leave the stream alone, or have it again: over HTTP/1.1 browsers have six connections for all
   * tabs, and a seventh tab would not even load. Aside, the list is asked for each half minute.
   */
  aside(aside: boolean): void {
    if (aside && !this.#aside) this.reconnect();
    this.#aside = aside;
  }

  async #loop(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const again = new AbortController();
      this.#again = again;
      const begun = performance.now();
      const outcome = await this.#attempt(AbortSignal.any([stop, again.signal]));
      if (stop.aborted) return;
      const lived = outcome.heard && performance.now() - begun >= LIVED_MS;
      this.#failures = lived ? 0 : this.#failures + 1;
      if (!again.signal.aborted) await this.#between(outcome, stop);
    }
  }

  async #attempt(signal: AbortSignal): Promise<Ended> {
    if (!this.#loaded) {
      const failure = await this.#list(signal);
      if (failure) return failure;
    }
    if (signal.aborted || this.#aside) return ended("", { hopeless: this.#aside });
    const opened = () => {
      linkSignal.value = { kind: "live" };
      // Another replica may answer, of another version.
      void loadSettings().catch(() => undefined);
      askWho();
    };
    return follow(this.#position, { opened, event: (event) => this.#event(event) }, signal);
  }

  async #between(outcome: Ended, stop: AbortSignal): Promise<void> {
    const instead = this.#loaded && (outcome.hopeless || this.#failures >= ATTEMPTS);
    const denied = outcome.status === SIGNED_OUT;
    const failure = instead && !denied ? await this.#poll(outcome, stop) : outcome;
    if (!failure || stop.aborted) return;
    if (failure.status === SIGNED_OUT) this.signedOut();
    else await this.#rest(failure, stop);
  }

  /** Ask for the list until it is time to try the stream again; gives what failed, if that did. */
  async #poll(outcome: Ended, stop: AbortSignal): Promise<Ended | null> {
    const aside = this.#aside;
    for (let asked = 0; asked < POLLS; asked += 1) {
      const failure = await this.#list(stop);
      if (failure || stop.aborted || aside !== this.#aside) return failure;
      if (!aside) linkSignal.value = { kind: "polling", why: outcome.why };
      await this.#wait(POLL_MS, stop);
      if (stop.aborted || aside !== this.#aside) return null;
    }
    return null;
  }

  async #rest(failure: Ended, stop: AbortSignal): Promise<void> {
    const ms = pauseMs(this.#failures, failure.retryMs);
    linkSignal.value = { kind: "waiting", retryAt: performance.now() + ms, why: failure.why };
    await this.#wait(ms, stop);
  }

  async #wait(ms: number, stop: AbortSignal): Promise<void> {
    this.#early = new AbortController();
    await wait(ms, AbortSignal.any([stop, this.#early.signal]));
  }

  /** Give what failed, or null. */
  async #list(signal: AbortSignal): Promise<Ended | null> {
    try {
      const { rows, ...beside } = await readList(signal, this.#etag);
      if (signal.aborted) return null;
      this.#beside(beside);
      if (rows) {
        this.#inbox.put({ kind: "snapshot", rows });
        this.#flush();
      }
      if (this.#loaded) askWho();
      this.#loaded = true;
      return null;
    } catch (error) {
      if (!(error instanceof ApiError)) return ended("");
      const { message, status, retryAfter } = error;
      return ended(message, { status, retryMs: retryAfter === null ? null : retryAfter * 1000 });
    }
  }

  #beside(beside: Beside): void {
    learn(beside.time);
    this.#etag = beside.etag;
    this.#position = beside.position ?? this.#position;
    tellFeed({ ...beside, stale: false, reason: null });
  }

  #event(event: ServerEvent): void {
    const change = receive(event);
    if (change) {
      this.#inbox.put(change);
      this.#frame.ask();
    }
    if (change?.kind === "snapshot") this.#loaded = true;
    this.#etag = null;
    this.#position = positionOf(event.id) ?? this.#position;
  }

  #flush(): void {
    this.#frame.cancel();
    apply(this.#inbox.take());
  }

  /** Nobody is signed in any more: who comes next may see another org. */
  signedOut(): void {
    this.end();
    this.#inbox.take();
    this.#loaded = false;
    this.#position = this.#etag = null;
    endSession();
    linkSignal.value = { kind: "signedOut" };
  }
}

/** One connection to the stream, from its request to its end. */

import { refusal } from "../api/http";
import { liveText } from "../text/live";
import { EventParser, type ServerEvent, TooLargeError } from "./sse";

export const PATH = "/api/fabric/events";

const HEAD_MS = 15_000;
/** Milliseconds for the answer's head. */

export const SILENT_MS = 40_000;
/** Milliseconds without a byte after which a connection is dead: the server speaks each 15 s. */

const LOOK_MS = 5000;
/** How often that is looked at: a timer for each piece would cost more than the piece. */

/** How a connection ended. */
export interface Ended {
  readonly why: string;
  /** The answer's status; 0: there was none, or it was cut later. */
  readonly status: number;
  /** It answers, but with no stream: another attempt will not help soon. */
  readonly hopeless: boolean;
  /** Milliseconds after which the server wants to see us; null: it did not say. */
  readonly retryMs: number | null;
  /** At least one event came. */
  readonly heard: boolean;
}

export interface Hearing {
  opened(): void;
  event(event: ServerEvent): void;
}

/** Follow the stream after a place until it ends or `signal` is aborted. Never throws. */
export async function follow(
  after: string | null,
  hearing: Hearing,
  signal: AbortSignal,
): Promise<Ended> {
  const stop = new AbortController();
  const abandon = () => stop.abort();
  signal.addEventListener("abort", abandon);
  if (signal.aborted) stop.abort();
  const head = setTimeout(abandon, HEAD_MS);
  try {
    const response = await fetch(addressOf(after), requestOf(after, stop.signal));
    const refused = await refusalOf(response);
    if (refused) return refused;
    clearTimeout(head);
    stop.signal.throwIfAborted();
    if (response.body === null) return ended(liveText.noStream, { hopeless: true });
    hearing.opened();
    return await new Listening(response.body, after, hearing, stop).run();
  } catch {
    const silent = stop.signal.aborted && !signal.aborted;
    return ended(silent ? liveText.slow(HEAD_MS / 1000) : liveText.unreachable);
  } finally {
    clearTimeout(head);
    signal.removeEventListener("abort", abandon);
    stop.abort();
  }
}

/** Reads what comes, and notices when nothing does. */
class Listening {
  readonly #parser: EventParser;
  #heard = false;
  #silent = false;
  #last = performance.now();

  constructor(
    private readonly body: ReadableStream<Uint8Array>,
    after: string | null,
    private readonly hearing: Hearing,
    private readonly stop: AbortController,
  ) {
    this.#parser = new EventParser(after ?? "");
  }

  async run(): Promise<Ended> {
    const look = setInterval(() => this.#look(), LOOK_MS);
    try {
      await this.#read();
      return this.#ended(liveText.cut);
    } catch (error) {
      if (error instanceof TooLargeError) return this.#ended(liveText.tooLarge);
      return this.#ended(this.#silent ? liveText.slow(SILENT_MS / 1000) : liveText.cut);
    } finally {
      clearInterval(look);
    }
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    const reader = this.body.getReader();
    // A body that is not the network's does not hear of the request's end.
    const cancel = () => void reader.cancel().catch(() => undefined);
    this.stop.signal.addEventListener("abort", cancel, { once: true });
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.stop.signal.aborted) return;
      this.#last = performance.now();
      for (const event of this.#parser.push(decoder.decode(value, { stream: true }))) {
        this.#heard = true;
        this.hearing.event(event);
      }
    }
  }

  #look(): void {
    if (performance.now() - this.#last < SILENT_MS) return;
    this.#silent = true;
    this.stop.abort();
  }

  #ended(why: string): Ended {
    const said = this.#silent ? liveText.slow(SILENT_MS / 1000) : why;
    return ended(said, { heard: this.#heard, retryMs: this.#parser.retryMs });
  }
}

function addressOf(after: string | null): string {
  return after ? `${PATH}?after=${encodeURIComponent(after)}` : PATH;
}

function requestOf(after: string | null, signal: AbortSignal): RequestInit {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (after) headers["Last-Event-ID"] = after;
  return { headers, signal, credentials: "same-origin", cache: "no-store" };
}

async function refusalOf(response: Response): Promise<Ended | null> {
  const { status } = response;
  const type = (response.headers.get("Content-Type") ?? "").toLowerCase();
  if (status === 200 && type.startsWith("text/event-stream")) return null;
  const told = type.startsWith("application/json") ? await refusal(response) : null;
  if (told === null) await response.body?.cancel().catch(() => undefined);
  const retryMs = told?.retryAfter ? told.retryAfter * 1000 : null;
  if (told?.code === "too_many_streams") {
    return ended(liveText.tooMany, { status, hopeless: true, retryMs });
  }
  // Whatever answers with a page of its own is in between, and stays there for a while.
  const hopeless = status < 400 || status === 404 || status === 405;
  const why = hopeless ? liveText.noStream : liveText.status(status);
  return ended(why, { status, hopeless, retryMs });
}

/** How a connection ended, where nothing else is said of it. */
export function ended(why: string, more: Partial<Ended> = {}): Ended {
  return { why, status: 0, hopeless: false, retryMs: null, heard: false, ...more };
}

/** Server-sent events out of pieces of text. Source: the HTML standard, section 9.2.6. */

export const EVENT_MAX = 16 * 1024 * 1024;
/** Longest event, in characters: all rows of 20,000 nodes; whatever sends more is no server of ours. */

const LINE_END = /[\r\n]/g;
const CR = 13;
const LF = 10;
const SPACE = 32;

/** One event. `id` is the last one that was told, with this event or before it. */
export interface ServerEvent {
  readonly type: string;
  readonly data: string;
  readonly id: string;
}

/** An event grew beyond all bounds. */
export class TooLargeError extends Error {}

/**
 * Takes text as it comes and gives whole events. What is not yet whole when the connection ends is
 * no event: it is sent again.
 */
export class EventParser {
  /** Milliseconds to wait before coming back, as the server said last; null: it did not. */
  retryMs: number | null = null;
  #rest: string[] = [];
  #size = 0;
  #afterCr = false;
  #type = "";
  #data: string[] = [];
  #dataSize = 0;
  #id: string;
  #first = true;

  constructor(
    lastId = "",
    private readonly most: number = EVENT_MAX,
  ) {
    this.#id = lastId;
  }

  /** Take a piece, give the events that it completes. Throws `TooLargeError`. */
  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    let at = 0;
    if (this.#afterCr && piece) {
      // CR LF may be cut in the middle: the line ended at the CR.
      if (piece.startsWith("\n")) at = 1;
      this.#afterCr = false;
    }
    while (at < piece.length) {
      const end = lineEnd(piece, at);
      if (end < 0) break;
      this.#line(this.#joined(piece.slice(at, end)), events);
      at = end + 1;
      if (piece.charCodeAt(end) === CR) {
        if (at === piece.length) this.#afterCr = true;
        else if (piece.charCodeAt(at) === LF) at += 1;
      }
    }
    this.#keep(piece.slice(at));
    return events;
  }

  #joined(end: string): string {
    if (this.#rest.length === 0) return end;
    const line = [...this.#rest, end].join("");
    this.#rest = [];
    this.#size = 0;
    return line;
  }

  #keep(rest: string): void {
    if (!rest) return;
    this.#rest.push(rest);
    this.#size += rest.length;
    if (this.#size + this.#dataSize > this.most) throw new TooLargeError();
  }

  #line(whole: string, events: ServerEvent[]): void {
    const line = this.#first && whole.startsWith("\uFEFF") ? whole.slice(1) : whole;
    this.#first = false;
    if (line === "") {
      this.#dispatch(events);
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const from = line.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1;
    this.#field(name, colon < 0 ? "" : line.slice(from));
  }

  #field(name: string, value: string): void {
    switch (name) {
      case "event":
        this.#type = value;
        break;
      case "data":
        this.#data.push(value);
        this.#dataSize += value.length + 1;
        if (this.#dataSize > this.most) throw new TooLargeError();
        break;
      case "id":
        if (!value.includes("\0")) this.#id = value;
        break;
      case "retry":
        if (/^[0-9]{1,9}$/.test(value)) this.retryMs = Number(value);
    }
  }

  #dispatch(events: ServerEvent[]): void {
    if (this.#data.length > 0) {
      const data = this.#data.length === 1 ? (this.#data[0] ?? "") : this.#data.join("\n");
      events.push({ type: this.#type || "message", data, id: this.#id });
    }
    this.#type = "";
    this.#data = [];
    this.#dataSize = 0;
  }
}

/** Where the line ends that begins at `from`; below 0: not in this text. */
function lineEnd(piece: string, from: number): number {
  LINE_END.lastIndex = from;
  return LINE_END.exec(piece)?.index ?? -1;
}

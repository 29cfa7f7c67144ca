/** An API of its own for tests: a list, and streams that are opened and cut as a test likes. */

import { vi } from "vitest";
import type { NodeSummary } from "../../src/api/types";

export interface Opened {
  readonly url: string;
  readonly lastId: string | null;
  readonly signal: AbortSignal;
  send(text: string): void;
  bytes(bytes: Uint8Array): void;
  event(type: string, data: unknown, id?: string): void;
  end(): void;
  break(): void;
}

type Reply = (signal: AbortSignal) => Response | Promise<Response>;

export class Server {
  rows: NodeSummary[] = [];
  position: string | null = "1-0";
  readonly streams: Opened[] = [];
  readonly asked: string[] = [];
  /** Answers in place of the stream or the list; null: as it should be. */
  streamReply: Reply | null = null;
  listReply: Reply | null = null;
  etag = '"v1"';
  /** Whose the cookie is; null: nobody's. */
  org: string | null = "o";

  install(): void {
    vi.stubGlobal("fetch", (path: string, init: RequestInit) => this.#answer(path, init));
  }

  get lists(): number {
    return this.asked.filter((path) => path.includes("/nodes?")).length;
  }

  /** The stream that was opened last. */
  get last(): Opened {
    const opened = this.streams.at(-1);
    if (!opened) throw new Error("no stream was opened");
    return opened;
  }

  async #answer(path: string, init: RequestInit): Promise<Response> {
    this.asked.push(path);
    if (path.startsWith("/api/fabric/events")) {
      return this.streamReply
        ? this.streamReply(init.signal as AbortSignal)
        : this.#stream(path, init);
    }
    if (path.startsWith("/api/fabric/nodes"))
      return this.listReply ? this.listReply(init.signal as AbortSignal) : this.#list(init);
    if (path === "/api/session" && init.method !== "DELETE") {
      if (this.org === null) return Response.json({}, { status: 401 });
      return Response.json({
        kind: "user",
        subject: "u1",
        orgId: this.org,
        orgName: "O",
        role: "viewer",
      });
    }
    return Response.json({});
  }

  #list(init: RequestInit): Response {
    const headers: Record<string, string> = {
      ETag: this.etag,
      "X-Citadel-Time": new Date().toISOString(),
    };
    if (this.position) headers["X-Citadel-Position"] = this.position;
    const known = (init.headers as Record<string, string>)["If-None-Match"];
    if (known === this.etag) return new Response(null, { status: 304, headers });
    return Response.json(this.rows, { headers });
  }

  #stream(url: string, init: RequestInit): Response {
    const headers = init.headers as Record<string, string>;
    const signal = init.signal as AbortSignal;
    let control: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        control = controller;
      },
    });
    signal.addEventListener("abort", () => {
      try {
        control.error(new DOMException("aborted", "AbortError"));
      } catch {
        // It has ended already.
      }
    });
    const encoder = new TextEncoder();
    const opened: Opened = {
      url,
      lastId: headers["Last-Event-ID"] ?? null,
      signal,
      send: (text) => control.enqueue(encoder.encode(text)),
      bytes: (bytes) => control.enqueue(bytes),
      event: (type, data, id) =>
        opened.send(`${id ? `id: ${id}\n` : ""}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`),
      end: () => control.close(),
      break: () => control.error(new TypeError("network error")),
    };
    this.streams.push(opened);
    return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  }
}

/** A page that is connected to an API of its own, in the test's time. */

import { vi } from "vitest";
import { forgetClock } from "../../src/fleet/clock";
import { forgetSession, loadSession } from "../../src/fleet/session";
import { allRows, apply } from "../../src/fleet/store";
import { startLive } from "../../src/live/connection";
import { link } from "../../src/live/link";
import { summary, T0 } from "../fleet/make";
import { Server } from "./server";

type Later = (work: () => void, ms: number) => unknown;

export let server: Server;
let end = () => {};
let later: Later;

/** Make the API; `real` is the timer of the real loop. */
export async function prepare(real: Later): Promise<void> {
  later = real;
  vi.setSystemTime(T0);
  vi.spyOn(Math, "random").mockReturnValue(1);
  vi.stubGlobal("requestAnimationFrame", (work: () => void) => setTimeout(work, 16));
  vi.stubGlobal("cancelAnimationFrame", clearTimeout);
  forgetClock();
  apply([{ kind: "snapshot", rows: [] }]);
  server = new Server();
  server.rows = [summary("a"), summary("b")];
  server.install();
  forgetSession();
  await loadSession();
  server.asked.length = 0;
}

/** Connect, without waiting for what comes. */
export function start(): void {
  end = startLive();
}

export async function begin(): Promise<void> {
  start();
  await tick();
}

export function stop(): void {
  end();
}

/** Let what was sent arrive, then time pass, then what follows from that. */
export async function tick(ms = 20): Promise<void> {
  await arrive();
  await vi.advanceTimersByTimeAsync(ms);
  await arrive();
}

/** Streams hand on their pieces in turns of the real loop, not of the test's time. */
function arrive(): Promise<void> {
  return new Promise((resolve) => later(resolve, 1));
}

export const kind = () => link.value.kind;

export const ids = () =>
  allRows()
    .map(({ id }) => id)
    .sort()
    .join(" ");

/** Fail the stream so often that another way is taken. */
export async function failThrice(reply: () => Response): Promise<void> {
  server.streamReply = reply;
  server.last.break();
  await tick(10_000);
}

import { afterEach, beforeEach, expect, test, vi } from "vitest";

const real = vi.hoisted(() => {
  const { setTimeout: later } = globalThis;
  vi.useFakeTimers();
  return { later: later.bind(globalThis) };
});

import { forgetClock, serverNow } from "../../src/fleet/clock";
import { visible } from "../../src/fleet/order";
import { loadSession, session, signOut } from "../../src/fleet/session";
import { allRows, apply, changes, rowNow } from "../../src/fleet/store";
import { pause, resume, retryNow, startLive } from "../../src/live/connection";
import { feed, link } from "../../src/live/link";
import { go } from "../../src/url";
import { summary, T0 } from "../fleet/make";
import { Server } from "./server";

let server: Server;
let stop: () => void;

/** Let what was sent arrive, then time pass, then what follows from that. */
async function tick(ms = 20): Promise<void> {
  await arrive();
  await vi.advanceTimersByTimeAsync(ms);
  await arrive();
}

/** Streams hand on their pieces in turns of the real loop, not of the test's time. */
function arrive(): Promise<void> {
  return new Promise((resolve) => real.later(resolve, 1));
}

const kind = () => link.value.kind;
const ids = () =>
  allRows()
    .map(({ id }) => id)
    .sort()
    .join(" ");

async function begin(): Promise<void> {
  stop = startLive();
  await tick();
}

/** Fail the stream so often that another way is taken. */
async function failThrice(reply: () => Response): Promise<void> {
  server.streamReply = reply;
  server.last.break();
  await tick(10_000);
}

beforeEach(async () => {
  vi.setSystemTime(T0);
  vi.spyOn(Math, "random").mockReturnValue(1);
  forgetClock();
  apply([{ kind: "snapshot", rows: [] }]);
  vi.stubGlobal("requestAnimationFrame", (work: () => void) => setTimeout(work, 16));
  vi.stubGlobal("cancelAnimationFrame", clearTimeout);
  server = new Server();
  server.rows = [summary("a"), summary("b")];
  server.install();
  await loadSession();
  server.asked.length = 0;
});

afterEach(() => {
  stop();
  vi.restoreAllMocks();
});

test("rows come by the list, and the stream goes on from its position", async () => {
  await begin();
  expect(ids()).toBe("a b");
  expect(server.last.url).toBe("/api/fabric/events?after=1-0");
  expect(server.last.lastId).toBe("1-0");
  expect(kind()).toBe("live");
  expect(serverNow()).toBeGreaterThanOrEqual(T0);
});

test("without a position the stream brings all rows itself", async () => {
  server.position = null;
  await begin();
  expect(server.last.url).toBe("/api/fabric/events");
  server.last.event("snapshot", [summary("c")], "5-0");
  await tick();
  expect(ids()).toBe("c");
});

test("pages of the list are followed, and the first one's position counts", async () => {
  let page = 0;
  server.listReply = () => {
    page += 1;
    const headers = {
      "X-Citadel-Position": `${page}-0`,
      ...(page < 3 && { "X-Next-Cursor": `c${page}` }),
    };
    return Response.json([summary(`n${page}`)], { headers });
  };
  await begin();
  expect(ids()).toBe("n1 n2 n3");
  expect(server.asked.filter((path) => path.includes("cursor"))).toEqual([
    "/api/fabric/nodes?limit=5000&cursor=c1",
    "/api/fabric/nodes?limit=5000&cursor=c2",
  ]);
  expect(server.last.lastId).toBe("1-0");
});

test("changes of one frame are one change", async () => {
  await begin();
  const before = changes.peek();
  for (let n = 2; n < 30; n += 1) server.last.event("node", { id: "a", state: "Stale" }, `${n}-0`);
  await tick();
  expect(changes.peek()).toBe(before + 1);
  expect(rowNow("a")?.state).toBe("Stale");
});

test("in a hidden tab, where no frames are drawn, changes are taken in all the same", async () => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
  await begin();
  server.last.event("gone", { id: "b" }, "2-0");
  await tick(300);
  expect(ids()).toBe("a");
});

test("letters that are cut in the middle of their bytes arrive whole", async () => {
  await begin();
  const text = 'event: node\ndata: {"id":"a","profile":{"name":"Gerät 😀"}}\n\n';
  for (const byte of new TextEncoder().encode(text)) server.last.bytes(Uint8Array.of(byte));
  await tick();
  expect(rowNow("a")?.profile.name).toBe("Gerät 😀");
});

test("after a cut it waits as long as the server asked, and goes on after the last id", async () => {
  await begin();
  server.last.send("retry: 5000\n\n");
  server.last.event("node", { id: "a", state: "Stale" }, "2-0");
  server.last.send('id: 3-0\nevent: node\ndata: {"id":"a","sta');
  await tick();
  server.last.break();
  await tick(0);
  expect(link.value).toMatchObject({ kind: "waiting", retryAt: performance.now() + 5000 });
  expect(rowNow("a")?.state).toBe("Stale");
  await tick(4990);
  expect(server.streams).toHaveLength(1);
  await tick(20);
  expect(server.streams).toHaveLength(2);
  expect(server.last.lastId).toBe("2-0");
  expect(kind()).toBe("live");
  expect(server.lists).toBe(1);
});

test("a reset blanks nothing until the snapshot is there", async () => {
  await begin();
  server.last.event("reset", { reason: "missed" });
  await tick();
  expect(ids()).toBe("a b");
  server.last.event("snapshot", [summary("c")], "9-0");
  await tick();
  expect(ids()).toBe("c");
});

test("a connection that is cut between reset and snapshot begins with the old id again", async () => {
  await begin();
  server.last.event("reset", { reason: "missed" });
  await tick();
  server.last.end();
  await tick(1100);
  expect(server.last.lastId).toBe("1-0");
  expect(ids()).toBe("a b");
});

test("odd messages are passed over, and the place in the stream goes on", async () => {
  await begin();
  server.last.send("id: 2-0\nevent: node\ndata: {nonsense\n\n");
  server.last.event("node", { state: "Online" }, "3-0");
  server.last.event("snapshot", "all", "4-0");
  server.last.event("fireworks", {}, "5-0");
  server.last.event("node", { id: "a", state: "Stale" }, "x; 6-0");
  await tick();
  expect(ids()).toBe("a b");
  expect(rowNow("a")?.state).toBe("Stale");
  expect(kind()).toBe("live");
  server.last.end();
  await tick(1100);
  expect(server.last.lastId).toBe("5-0");
});

test("a connection on which nothing comes for 40 s is dead", async () => {
  await begin();
  await tick(30_000);
  server.last.send(": still here\n\n");
  await tick(35_000);
  expect(kind()).toBe("live");
  const { signal } = server.last;
  await tick(10_000);
  expect(signal.aborted).toBe(true);
  expect(link.value).toMatchObject({ kind: "waiting", why: "nothing came for 40 s" });
  await tick(1100);
  expect(server.streams).toHaveLength(2);
});

test("the time tells how far ingest is", async () => {
  await begin();
  const now = new Date(T0 + 60_000).toISOString();
  const asOf = new Date(T0 + 30_000).toISOString();
  server.last.event("time", { now, stale: true, reason: "Redis is away", asOf, lag: 30 });
  await tick();
  expect(feed.value).toMatchObject({
    stale: true,
    reason: "Redis is away",
    asOfMs: T0 + 30_000,
    lag: 30,
  });
  expect(serverNow()).toBeGreaterThanOrEqual(T0 + 60_000);
  server.last.event("time", { now, stale: true });
  await tick();
  expect(feed.value).toMatchObject({ stale: true, asOfMs: T0 + 30_000 });
});

test("pauses double up to half a minute, and what is shown stays", async () => {
  server.rows = [];
  server.listReply = () => Response.json({ error: "unavailable" }, { status: 503 });
  await begin();
  const pauses: number[] = [];
  for (let n = 0; n < 7; n += 1) {
    const state = link.value;
    if (state.kind !== "waiting") throw new Error(state.kind);
    const pause = state.retryAt - performance.now();
    pauses.push(Math.round(pause / 1000));
    await tick(pause + 20);
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30]);
});

test("an API that is down for minutes blanks nothing, and is found within half a minute", async () => {
  await begin();
  const down = () => {
    throw new TypeError("refused");
  };
  server.listReply = down;
  server.streamReply = down;
  server.last.break();
  await tick(300_000);
  expect(ids()).toBe("a b");
  expect(kind()).toBe("waiting");
  server.listReply = server.streamReply = null;
  await tick(31_000);
  expect(server.streams.length).toBeGreaterThan(1);
  expect(kind()).toBe("live");
});

test("a server that wants to be left alone is left alone", async () => {
  server.listReply = () =>
    Response.json({ error: "rate_limited", retry_after: 120 }, { status: 429 });
  await begin();
  expect(link.value).toMatchObject({
    kind: "waiting",
    retryAt: expect.closeTo(performance.now() + 120_000, -3),
  });
  await tick(119_000);
  expect(server.lists).toBe(1);
  server.listReply = null;
  await tick(2000);
  expect(kind()).toBe("live");
});

test("after three failures the list is asked for each half minute, by its ETag", async () => {
  await begin();
  await failThrice(() => Response.json({ error: "unavailable" }, { status: 503 }));
  expect(kind()).toBe("polling");
  const before = server.lists;
  server.rows = [summary("c")];
  server.etag = '"v2"';
  await tick(30_000);
  expect(server.lists).toBe(before + 1);
  expect(ids()).toBe("c");
  const rows = allRows();
  await tick(60_000);
  expect(allRows()[0]).toBe(rows[0]);
  expect(kind()).toBe("polling");
});

test("while it polls the stream is tried each minute, and goes on from where the list was", async () => {
  await begin();
  await failThrice(() => Response.json({ error: "unavailable" }, { status: 503 }));
  server.position = "77-0";
  server.etag = '"v3"';
  const tried = () => server.asked.filter((path) => path.includes("/events")).length;
  const before = tried();
  await tick(120_000);
  expect(tried() - before).toBe(2);
  server.streamReply = null;
  await tick(61_000);
  expect(kind()).toBe("live");
  expect(server.last.lastId).toBe("77-0");
});

test("an answer that is no stream is polled around at once", async () => {
  await begin();
  server.streamReply = () => new Response("<html>", { headers: { "Content-Type": "text/html" } });
  server.last.end();
  await tick(1100);
  expect(kind()).toBe("polling");
});

test("too many streams of one sign-in are polled around, too", async () => {
  server.streamReply = () =>
    Response.json({ error: "too_many_streams", retry_after: 5 }, { status: 429 });
  await begin();
  expect(kind()).toBe("polling");
  expect(ids()).toBe("a b");
});

test("a session that has ended ends the connection, and nobody asks on", async () => {
  await begin();
  server.streamReply = () => Response.json({ error: "unauthorized" }, { status: 401 });
  server.last.end();
  await tick(1100);
  expect(kind()).toBe("signedOut");
  expect(session.value).toBeNull();
  expect(ids()).toBe("a b");
  const before = server.asked.length;
  await tick(600_000);
  dispatchEvent(new Event("online"));
  await tick(1000);
  expect(server.asked).toHaveLength(before);
  pause();
  expect(kind()).toBe("signedOut");
});

test("who is not signed in is told so at the first answer, and again lets in", async () => {
  server.listReply = () => Response.json({ error: "unauthorized" }, { status: 401 });
  await begin();
  expect(kind()).toBe("signedOut");
  server.listReply = null;
  retryNow();
  await tick();
  expect(kind()).toBe("live");
});

test("a session that ends while the page polls ends that, too", async () => {
  await begin();
  await failThrice(() => new Response("<html>", { status: 200 }));
  server.listReply = () => Response.json({ error: "unauthorized" }, { status: 401 });
  await tick(31_000);
  expect(kind()).toBe("signedOut");
});

test("who signs out is connected no longer, and who signs in then begins anew", async () => {
  await begin();
  await signOut();
  expect(kind()).toBe("signedOut");
  expect(server.last.signal.aborted).toBe(true);
  server.rows = [summary("theirs")];
  server.etag = '"theirs"';
  server.position = "9-0";
  await loadSession();
  retryNow();
  await tick();
  expect(ids()).toBe("theirs");
  expect(server.last.lastId).toBe("9-0");
});

test("a pause freezes the page, and going on loses nothing", async () => {
  await begin();
  server.last.event("node", { id: "a", state: "Stale" }, "2-0");
  await tick(0);
  pause();
  expect(kind()).toBe("paused");
  expect(rowNow("a")?.state).toBe("Stale");
  expect(server.last.signal.aborted).toBe(true);
  const before = server.asked.length;
  await tick(600_000);
  dispatchEvent(new Event("online"));
  retryNow();
  await tick(1000);
  expect(server.asked).toHaveLength(before);
  resume();
  await tick();
  expect(server.last.lastId).toBe("2-0");
  expect(kind()).toBe("live");
});

test("a pause before anything came keeps nothing from coming later", async () => {
  stop = startLive();
  pause();
  await tick();
  expect(ids()).toBe("");
  resume();
  await tick();
  expect(ids()).toBe("a b");
});

test("whoever is impatient need not wait", async () => {
  await begin();
  server.last.send("retry: 60000\n\n");
  await tick();
  server.last.event("time", { now: new Date().toISOString() });
  await tick();
  server.last.end();
  await tick(100);
  expect(kind()).toBe("waiting");
  retryNow();
  await tick();
  expect(kind()).toBe("live");
});

test("a network that is back, and a tab that is looked at again, end a wait", async () => {
  for (const back of [
    () => dispatchEvent(new Event("online")),
    () => document.dispatchEvent(new Event("visibilitychange")),
  ]) {
    await begin();
    server.last.send("retry: 60000\n\n");
    server.last.event("time", { now: new Date().toISOString() });
    await tick();
    server.last.end();
    await tick(100);
    expect(kind()).toBe("waiting");
    back();
    await tick();
    expect(kind()).toBe("live");
    stop();
  }
});

test("a machine that slept hears the time anew at once, over another connection", async () => {
  await begin();
  server.last.event("time", { now: new Date().toISOString() }, "2-0");
  await tick();
  vi.setSystemTime(Date.now() + 3_600_000);
  await tick(5000);
  expect(server.streams).toHaveLength(2);
  expect(server.last.lastId).toBe("2-0");
  expect(kind()).toBe("live");
  server.last.event("time", { now: new Date().toISOString() });
  await tick(20_000);
  expect(server.streams).toHaveLength(2);
  expect(serverNow()).toBeCloseTo(Date.now(), -3);
});

test("a stream that says nothing at all is no success: failures count on", async () => {
  await begin();
  for (let n = 0; n < 3; n += 1) {
    server.last.end();
    await tick(10_000);
  }
  expect(kind()).toBe("polling");
});

test("a head that does not come is not waited for for ever", async () => {
  server.streamReply = (signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  await begin();
  await tick(15_000);
  expect(link.value).toMatchObject({ kind: "waiting", why: "nothing came for 15 s" });
});

test("a message beyond all bounds is not swallowed: the connection is made anew", async () => {
  await begin();
  const piece = "x".repeat(1024 * 1024);
  server.last.send("data: ");
  for (let n = 0; n < 17; n += 1) server.last.send(piece);
  await tick(10);
  expect(link.value).toMatchObject({
    kind: "waiting",
    why: "a message was larger than any should be",
  });
});

test("the end of the page ends everything", async () => {
  await begin();
  stop();
  const before = server.asked.length;
  await tick(600_000);
  expect(server.last.signal.aborted).toBe(true);
  expect(server.asked).toHaveLength(before);
});

test("nodes that were given up are asked for when somebody looks for them", async () => {
  await begin();
  const asked = () => server.asked.filter((path) => path.includes("state=Decommissioned")).length;
  expect(asked()).toBe(0);
  const { listReply } = server;
  server.listReply = () => Response.json([summary("old", { state: "Decommissioned" })]);
  go({ state: "Decommissioned" }, "replace");
  await tick();
  expect(asked()).toBe(1);
  expect(visible.value).toEqual(["old"]);
  server.listReply = listReply;
  go({ state: "" }, "replace");
  expect(visible.value).toEqual(["a", "b"]);
});

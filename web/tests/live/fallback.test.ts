import { afterEach, beforeEach, expect, test, vi } from "vitest";

const later = vi.hoisted(() => {
  const real = setTimeout.bind(globalThis);
  vi.useFakeTimers();
  return real;
});

import { serverNow } from "../../src/fleet/clock";
import { visible } from "../../src/fleet/order";
import { loadSession, session, signOut } from "../../src/fleet/session";
import { allRows, rowNow } from "../../src/fleet/store";
import { pause, resume, retryNow } from "../../src/live/connection";
import { link } from "../../src/live/link";
import { go } from "../../src/url";
import { summary } from "../fleet/make";
import { begin, failThrice, ids, kind, prepare, server, start, stop, tick } from "./connected";

beforeEach(() => prepare(later));

afterEach(() => {
  stop();
  vi.restoreAllMocks();
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
  // It asks whose page it is, and nothing else: a session may end meanwhile.
  const others = () => server.asked.filter((path) => path !== "/api/session").length;
  const before = others();
  await tick(600_000);
  dispatchEvent(new Event("online"));
  retryNow();
  await tick(1000);
  expect(others()).toBe(before);
  resume();
  await tick();
  expect(server.last.lastId).toBe("2-0");
  expect(kind()).toBe("live");
});

test("a pause before anything came keeps nothing from coming later", async () => {
  start();
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

test("a stream that is cut as soon as it speaks is not asked for each second for ever", async () => {
  await begin();
  for (let n = 0; n < 40; n += 1) {
    const { last } = server;
    if (!last.signal.aborted) {
      last.event("time", { now: new Date().toISOString() }, `${n + 2}-0`);
      await tick(50);
      last.end();
    }
    await tick(1500);
  }
  expect(server.streams.length).toBeLessThan(8);
  expect(kind()).toBe("polling");
});

test("who was given up once and is back is not given up again by a late answer", async () => {
  await begin();
  const { listReply } = server;
  let answer: (response: Response) => void = () => {};
  server.listReply = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  go({ state: "Decommissioned" }, "replace");
  await tick();
  server.last.event("node", { id: "old", state: "Online" }, "2-0");
  await tick();
  const gone = ["old", "older"].map((id) => summary(id, { state: "Decommissioned" }));
  answer(Response.json(gone));
  await tick();
  expect(rowNow("old")?.state).toBe("Online");
  expect(rowNow("older")?.state).toBe("Decommissioned");
  server.listReply = listReply;
  go({ state: "" }, "replace");
});

test("a hidden tab leaves its stream to others, and is live at once when it is looked at", async () => {
  const turn = (state: "hidden" | "visible") => {
    vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
    document.dispatchEvent(new Event("visibilitychange"));
  };
  await begin();
  server.last.event("gone", { id: "b" }, "2-0");
  await tick();
  turn("hidden");
  await tick(14_000);
  turn("visible");
  server.last.event("time", { now: new Date().toISOString() });
  await tick(20_000);
  expect(server.streams).toHaveLength(1);
  expect(server.last.signal.aborted).toBe(false);

  turn("hidden");
  await tick(16_000);
  expect(server.last.signal.aborted).toBe(true);
  server.rows = [summary("c")];
  server.etag = '"v2"';
  server.position = "3-0";
  await tick(600_000);
  expect(server.streams).toHaveLength(1);
  expect(server.lists).toBeGreaterThan(15);
  expect(ids()).toBe("c");

  turn("visible");
  await tick();
  expect(server.streams).toHaveLength(2);
  expect(server.last.lastId).toBe("3-0");
  expect(kind()).toBe("live");
});

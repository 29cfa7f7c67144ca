import { afterEach, beforeEach, expect, test, vi } from "vitest";

const later = vi.hoisted(() => {
  const real = setTimeout.bind(globalThis);
  vi.useFakeTimers();
  return real;
});

import { serverNow } from "../../src/fleet/clock";
import { changes, rowNow } from "../../src/fleet/store";
import { feed, link } from "../../src/live/link";
import { summary, T0 } from "../fleet/make";
import { begin, ids, kind, prepare, server, stop, tick } from "./connected";

beforeEach(() => prepare(later));

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

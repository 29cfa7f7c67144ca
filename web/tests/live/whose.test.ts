/** Whose page it is, while sessions come and go beside it. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";

const later = vi.hoisted(() => {
  const real = setTimeout.bind(globalThis);
  vi.useFakeTimers();
  return real;
});

import { session, signOut } from "../../src/fleet/session";
import { apply, rowNow } from "../../src/fleet/store";
import { pause } from "../../src/live/connection";
import { go } from "../../src/url";
import { summary } from "../fleet/make";
import { begin, failThrice, ids, kind, prepare, server, stop, tick } from "./connected";

beforeEach(() => prepare(later));

afterEach(() => {
  stop();
  vi.restoreAllMocks();
});

test("a paused page does not outlive its session", async () => {
  await begin();
  pause();
  server.org = null;
  await tick(61_000);
  expect(session.value).toBeNull();
  expect(kind()).toBe("signedOut");
});

test("a page that another tab signed in to another org begins anew when it comes back", async () => {
  const reload = vi.spyOn(location, "reload").mockImplementation(() => undefined);
  await begin();
  await tick(10_000);
  server.org = "o2";
  server.last.end();
  await tick(1100);
  expect(server.streams).toHaveLength(2);
  expect(reload).toHaveBeenCalled();
});

test("so does one that polls, and one that somebody turns to", async () => {
  const reload = vi.spyOn(location, "reload").mockImplementation(() => undefined);
  await begin();
  await failThrice(() => new Response("<html>", { status: 200 }));
  await tick(1000);
  server.org = "o2";
  document.dispatchEvent(new Event("visibilitychange"));
  await tick(0);
  const before = reload.mock.calls.length;
  expect(before).toBeGreaterThan(0);
  await tick(31_000);
  expect(reload.mock.calls.length).toBeGreaterThan(before);
});

test("what had come and was not yet shown when the session ended is shown to nobody", async () => {
  await begin();
  apply([{ kind: "snapshot", rows: [] }]);
  server.last.event("node", { id: "late", state: "Online" }, "2-0");
  await tick(0);
  await signOut();
  await tick(1000);
  expect(ids()).toBe("");
});

test("an answer about those who were given up that comes after the session stays outside", async () => {
  await begin();
  const { listReply } = server;
  let answer: (response: Response) => void = () => {};
  server.listReply = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  go({ state: "Decommissioned" }, "replace");
  await tick();
  await signOut();
  answer(Response.json([summary("old", { state: "Decommissioned" })]));
  await tick();
  expect(rowNow("old")).toBeUndefined();
  server.listReply = listReply;
  go({ state: "" }, "replace");
});

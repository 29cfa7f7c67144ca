import { expect, test } from "vitest";
import { changeText, Differences } from "../../src/shell/changes";
import { typing } from "../../src/shell/keys";
import { downText, ingestText, linkText, linkTitle } from "../../src/shell/linkwords";
import { loginToken } from "../../src/shell/logintoken";
import { themeOf } from "../../src/shell/theme";
import { isWrong } from "../../src/shell/unhealthy";
import { shell } from "../../src/text/shell";

const FEED = { asOfMs: null, lag: null, stale: false, reason: null, lastWordMs: null };

test("the badge counts down and never below nothing", () => {
  const link = { kind: "waiting", retryAt: 9_400, why: "cut" } as const;
  expect(linkText(link, 5000)).toBe("Reconnecting in 5 s");
  expect(linkText(link, 20_000)).toBe("Reconnecting");
  expect(linkTitle(link)).toContain("cut");
});

test("the badge has one word for each kind of connection", () => {
  expect(linkText({ kind: "live" }, 0)).toBe("Live");
  expect(linkText({ kind: "polling", why: "x" }, 0)).toBe("Polling");
  expect(linkText({ kind: "paused" }, 0)).toBe("Paused");
});

test("the banner says of when what is shown is, or that nothing is", () => {
  const last = Date.parse("2026-11-24T12:03:41Z");
  expect(downText(last, last + 125_000)).toMatch(/known at \d\d:03:41 \(2 min ago\)/);
  expect(downText(null, 0)).toContain("nothing has been shown");
});

test("ingest is told of when it is behind or cannot tell, and not when it is well", () => {
  const asOfMs = Date.parse("2026-11-24T12:00:00Z");
  expect(ingestText({ ...FEED, asOfMs, lag: 1 }, asOfMs + 9000)).toBeNull();
  expect(ingestText({ ...FEED, asOfMs, lag: 40 }, asOfMs + 40_000)).toContain("for 40 s");
  expect(ingestText({ ...FEED, stale: true }, 0)).toContain("cannot say");
});

test("the gravest change is told by name, the others by number", () => {
  const changes = [
    { name: "a", state: "Online" },
    { name: "gpu-7", state: "Offline" },
    { name: "b", state: "Stale" },
    { name: "c", state: "Hibernating" },
  ];
  expect(changeText(changes)).toBe("gpu-7 is Offline; 3 others changed");
  expect(changeText(changes.slice(1, 2))).toBe("gpu-7 is Offline");
  expect(changeText([])).toBeNull();
});

test("the first look is no change, nor is a node that comes or goes", () => {
  const differences = new Differences();
  const row = (id: string, state: string) => ({ id, state, name: id });
  expect(differences.look([row("a", "Online")]).size).toBe(0);
  expect(differences.look([row("a", "Online"), row("b", "Stale")]).size).toBe(0);
  expect([...differences.look([row("a", "Offline")]).keys()]).toEqual(["a"]);
  expect(differences.look([]).size).toBe(0);
  expect(differences.look([row("a", "Online")]).size).toBe(0);
});

test("the title counts what is wrong: not what is so on purpose or unknown", () => {
  expect(["Offline", "Degraded", "Stale"].every(isWrong)).toBe(true);
  expect(["Online", "Draining", "Unknown", "Decommissioned", "?"].some(isWrong)).toBe(false);
  expect(shell.title(3)).toBe("(3) Fabric");
  expect(shell.title(0)).toBe("Fabric");
});

test("a login token is found in a link, in a sentence, or alone", () => {
  const token = "cl_AbC-123_xyz";
  expect(loginToken(`https://c.example.org/api/session/link?token=${token}&x=1`)).toBe(token);
  expect(loginToken(` ${token}\n`)).toBe(token);
  expect(loginToken(`Signs Ana in: https://c/api/session/link?token=${token}`)).toBe(token);
  for (const none of ["", "cl_", "act_0123456789abcdef", "https://c/api/session/link?token="]) {
    expect(loginToken(none)).toBeNull();
  }
});

test("a theme that is none is the system's", () => {
  expect([themeOf("dark"), themeOf("light"), themeOf("<b>"), themeOf(undefined)]).toEqual([
    "dark",
    "light",
    "auto",
    "auto",
  ]);
});

test("a key is typing in a field, and none on a box to tick", () => {
  const field = (type: string) => Object.assign(document.createElement("input"), { type });
  expect(typing(field("text"))).toBe(true);
  expect(typing(field("checkbox"))).toBe(false);
  expect(typing(document.createElement("textarea"))).toBe(true);
  expect(typing(document.createElement("button"))).toBe(false);
});

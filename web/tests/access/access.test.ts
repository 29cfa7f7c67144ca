import { expect, test } from "vitest";
import { codeOf, soundNode } from "../../src/access/code";
import { whyText } from "../../src/access/enrolment";
import { endMs, numberOf, stateOf } from "../../src/access/tokenstate";
import { ApiError } from "../../src/api/http";

const TOKEN = {
  tokenId: "t1",
  name: "rack7",
  scopes: [],
  createdAt: "2026-11-24T00:00:00Z",
  createdBy: "user:u1",
};
const NOON = Date.parse("2026-11-24T12:00:00Z");

test("a code is read in whatever case and with whatever between", () => {
  for (const typed of ["bcdf-ghjk", " BCDF GHJK ", "b.c.d.f-g.h.j.k", "BCDFGHJK"]) {
    expect(codeOf(typed)).toBe("BCDF-GHJK");
  }
});

test("the link that the device shows will do, too", () => {
  expect(codeOf("https://citadel.example.org/device?code=BCDF-GHJK")).toBe("BCDF-GHJK");
  expect(codeOf("https://citadel.example.org/device?user_code=bcdfghjk")).toBe("BCDF-GHJK");
});

test("a letter that is not of the alphabet makes it no code: nothing is guessed", () => {
  for (const typed of ["", "ACDF-GHJK", "BCDF-GHJ", "BCDF-GHJKL", "BCDF-GHJ1", "B".repeat(5000)]) {
    expect(codeOf(typed)).toBeNull();
  }
});

test("a node's id is what the API takes", () => {
  expect(soundNode("rack7.gpu_1-a")).toBe(true);
  expect(["", "a b", "ä", "x".repeat(65)].some(soundNode)).toBe(false);
});

test("a token ends by its date or by revocation, and a rotated one works on for its grace", () => {
  const later = "2026-11-24T13:00:00Z";
  const before = "2026-11-24T11:00:00Z";
  expect(stateOf(TOKEN, NOON)).toBe("active");
  expect(stateOf({ ...TOKEN, expiresAt: later, replacedBy: "t2" }, NOON)).toBe("rotated");
  expect(stateOf({ ...TOKEN, expiresAt: before, replacedBy: "t2" }, NOON)).toBe("expired");
  expect(stateOf({ ...TOKEN, revokedAt: before, expiresAt: later }, NOON)).toBe("revoked");
  expect(endMs(TOKEN)).toBeNull();
  expect(endMs({ ...TOKEN, expiresAt: later })).toBe(Date.parse(later));
});

test("a field that is empty is no number, and one beyond the limits is wrong", () => {
  expect(numberOf(" ", 0, 10)).toBeUndefined();
  expect(numberOf("0", 0, 10)).toBe(0);
  expect(numberOf("2.5", 0, 10)).toBe(2.5);
  for (const wrong of ["11", "-1", "ten", "1e9", "NaN"]) expect(numberOf(wrong, 0, 10)).toBeNull();
});

test("a refusal says what it means for a code", () => {
  expect(whyText(new ApiError("http", "nothing", 404))).toContain("No device waits");
  expect(whyText(new ApiError("http", "slow", 429, "rate_limited", 7))).toContain("7 s");
  expect(whyText(new ApiError("network", "the API cannot be reached"))).toContain("reached");
});

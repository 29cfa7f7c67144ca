import { beforeEach, expect, test } from "vitest";
import { addressOf, go, type Place, place, placeOf } from "../src/url";

const read = (address: string) => placeOf(new URL(address, "https://citadel.example"));
const NOWHERE = read("/");

beforeEach(() => {
  history.replaceState(null, "", "/");
  go(NOWHERE, "replace");
});

test("a place survives its address", () => {
  const there: Place = {
    ...NOWHERE,
    tab: "events",
    view: "cards",
    q: "a&b=c #d %20 ü",
    state: "Offline,Stale",
    model: "meta/llama",
    sort: "-util",
    node: "gpu-1",
    part: "raw",
  };
  expect(read(addressOf(there))).toEqual(there);
});

test("what an address says that the page does not know is left aside", () => {
  expect(read("/?tab=<script>&view=list&foo=bar")).toEqual(NOWHERE);
  expect(read(`/?q=${"x".repeat(10_000)}`).q).toHaveLength(512);
  // Half of a letter could not even be asked for.
  const { node } = read(`/?node=${"x".repeat(511)}${encodeURIComponent("😀")}`);
  expect(encodeURIComponent(node)).toBe("x".repeat(511));
});

test("the address on a device's screen leads to the approval with its code", () => {
  expect(read("/device?code=ABCD-EFGH")).toMatchObject({ tab: "access", code: "ABCD-EFGH" });
  expect(read("/device?user_code=WXYZ")).toMatchObject({ tab: "access", code: "WXYZ" });
});

test("a step can be gone back, typing takes none", async () => {
  const before = history.length;
  go({ node: "gpu-1" });
  for (const q of ["a", "ab", "abc"]) go({ q }, "replace");
  expect(history.length).toBe(before + 1);
  expect(location.search).toBe("?q=abc&node=gpu-1");
  history.replaceState(null, "", "/?q=old");
  dispatchEvent(new PopStateEvent("popstate"));
  expect(place.value).toMatchObject({ q: "old", node: "" });
});

test("to go where one is already is no step", () => {
  go({ node: "gpu-1" });
  const before = history.length;
  go({ node: "gpu-1" });
  expect(history.length).toBe(before);
});

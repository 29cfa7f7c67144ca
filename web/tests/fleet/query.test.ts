import { expect, test } from "vitest";
import { matches, parseQuery, WORDS_MAX } from "../../src/fleet/query";
import { row } from "./make";

const H100 = row("gpu-1", {
  labels: { zone: "north", __proto__: "x" } as Record<string, string>,
  headscaleId: "hs-77",
  profile: {
    name: "Alpha",
    address: "100.64.0.1",
    agent: "1.10.2",
    driver: "570.86",
    gpus: [{ model: "NVIDIA H100", count: 8 }],
    models: ["meta-llama/Llama-3.3-70B"],
  },
});
const BARE = row("bare", { state: "Stale" });

function finds(asked: string | { q?: string; state?: string; model?: string; gpu?: string }) {
  const place = typeof asked === "string" ? { q: asked } : asked;
  const query = parseQuery({ q: "", state: "", model: "", gpu: "", ...place });
  return [H100, BARE].filter((node) => matches(node, query)).map((node) => node.id);
}

test("nothing asked finds all, and says so", () => {
  expect(finds("")).toEqual(["gpu-1", "bare"]);
  expect(parseQuery({ q: "  ", state: "", model: "", gpu: "" }).empty).toBe(true);
});

test("free words are looked for in all that is said of a node, whatever their case", () => {
  for (const word of ["ALPHA", "gpu-1", "100.64", "h100", "llama", "1.10", "570", "zone=north"]) {
    expect(finds(word), word).toEqual(["gpu-1"]);
  }
  expect(finds("hs-77 alpha")).toEqual(["gpu-1"]);
  expect(finds("alpha nowhere")).toEqual([]);
});

test("typed words look in one place", () => {
  expect(finds("state:stale")).toEqual(["bare"]);
  expect(finds("phase:online,stale")).toEqual(["gpu-1", "bare"]);
  expect(finds("gpu:h100")).toEqual(["gpu-1"]);
  expect(finds("model:h100")).toEqual([]);
  expect(finds("MODEL:llama-3")).toEqual(["gpu-1"]);
  expect(finds("label:zone")).toEqual(["gpu-1"]);
  expect(finds("label:zone=south")).toEqual([]);
  expect(finds("label:toString")).toEqual([]);
});

test("versions are compared by their numbers, and an agent that told none matches none", () => {
  expect(finds("version:<1.2")).toEqual([]);
  expect(finds("version:>=1.9")).toEqual(["gpu-1"]);
  expect(finds("version:=1.10.2")).toEqual(["gpu-1"]);
  expect(finds("version:=1.10")).toEqual([]);
  expect(finds("version:1.1")).toEqual(["gpu-1"]);
  expect(finds("version:>0")).toEqual(["gpu-1"]);
});

test("filters of the address mean the same as the words", () => {
  expect(finds({ state: "Online" })).toEqual(["gpu-1"]);
  expect(finds({ gpu: "H100", model: "llama" })).toEqual(["gpu-1"]);
  expect(finds({ state: "Online,Stale", q: "bare" })).toEqual(["bare"]);
});

test("nodes that were given up are found only if their state is asked for", () => {
  const gone = row("gone", { state: "Decommissioned" });
  const place = { q: "", state: "", model: "", gpu: "" };
  expect(matches(gone, parseQuery(place))).toBe(false);
  expect(matches(gone, parseQuery({ ...place, q: "state:decommissioned" }))).toBe(true);
});

test("a state that the page has not heard of is told, and looked for all the same", () => {
  const place = { q: "state:frozen", state: "", model: "", gpu: "" };
  expect(parseQuery(place).error).toContain("frozen");
  expect(matches(row("a", { state: "Frozen" }), parseQuery(place))).toBe(true);
});

test("a search that is too long is cut and said to be", () => {
  const words = Array(WORDS_MAX + 4)
    .fill("alpha")
    .join(" ");
  const place = { q: words, state: "", model: "", gpu: "" };
  expect(parseQuery(place).error).toContain("20 words");
  expect(finds({ q: `${"alpha ".repeat(16)}nowhere` })).toEqual(["gpu-1"]);
  expect(parseQuery({ ...place, q: "x".repeat(10_000) }).error).toContain("512");
});

test("odd words throw nothing", () => {
  for (const q of [
    "state:",
    ":",
    "version:<",
    "version:<1.2.3.4.5",
    "label:=",
    "label:=x",
    "((",
    "\u202e",
  ]) {
    expect(() => finds(q)).not.toThrow();
  }
});

import { expect, test } from "vitest";
import type { NodeSummary } from "../../src/api/types";
import { rowOf } from "../../src/fleet/row";
import { healthText } from "../../src/models/line";
import { found, modelRows, wordsOf } from "../../src/models/rows";

function node(id: string, state: NodeSummary["state"], models: string[], running?: number) {
  const pulse = running === undefined ? {} : { running, waiting: 1 };
  return rowOf({ id, state, profile: { name: id, models }, pulse });
}

const view = (model: string, nodes: string[], healthy: number | null) => ({
  model,
  nodes,
  replicas: nodes.length,
  engines: ["vllm"],
  healthy,
});

test("what nobody serves comes first, then what is not well, then the others by name", () => {
  const fleet = [
    node("a", "Online", ["m1", "m2", "m3"], 4),
    node("b", "Online", ["m1"]),
    node("c", "Offline", ["m1", "m4"]),
  ];
  const views = [view("m1", ["a", "b"], 1), view("m2", ["a"], 1), view("m3", ["a"], null)];
  const rows = modelRows(views, fleet);
  expect(rows.map((row) => row.model)).toEqual(["m4", "m1", "m3", "m2"]);
  expect(rows.map(healthText)).toEqual(["not served now", "1 of 2 healthy", "unknown", "healthy"]);
});

test("a silent node is told of beside those that serve", () => {
  const fleet = [node("a", "Online", ["m"], 4), node("c", "Offline", ["m"], 9)];
  const [row] = modelRows([view("m", ["a"], 1)], fleet);
  expect(row?.silent).toEqual(["c"]);
  expect(row?.running).toBe(4);
});

test("requests of which nobody tells are unknown, not none", () => {
  const [row] = modelRows([view("m", ["a"], 1)], [node("a", "Online", ["m"])]);
  expect(row?.running).toBeNull();
});

test("a model that the API has not looked up yet is not called lost", () => {
  expect(modelRows([], [node("a", "Online", ["new"])])).toEqual([]);
});

test("a node of the API's that the list does not have is no fault", () => {
  expect(modelRows([view("m", ["gone"], 1)], [])[0]?.nodes).toEqual(["gone"]);
});

test("all words must be found, in name, engine or node", () => {
  const [row] = modelRows([view("meta/Llama-3", ["gpu-1"], 1)], []);
  expect(row && found(row, wordsOf("LLAMA gpu-1 vllm"))).toBe(true);
  expect(row && found(row, wordsOf("llama gpu-2"))).toBe(false);
});

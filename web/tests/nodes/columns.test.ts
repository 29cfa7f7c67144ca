import { expect, test } from "vitest";
import { COLUMNS, fitting, hidden, setHidden, showAll, shown } from "../../src/nodes/columns";
import { directionOf, nextSort } from "../../src/nodes/head";
import { toggled } from "../../src/nodes/states";
import { statesShown } from "../../src/nodes/summary";

test("where there is room all columns are there", () => {
  expect(fitting(COLUMNS, 200)).toEqual(COLUMNS);
});

test("where there is none, names, states, GPUs and ages are the last to go", () => {
  expect(fitting(COLUMNS, 40)).toEqual(["state", "name", "strip", "seen"]);
  expect(fitting(COLUMNS, 1)).toEqual(["state", "name", "strip"]);
});

test("a hidden column is remembered, and the name cannot be hidden", () => {
  setHidden("disk", true);
  setHidden("name", true);
  expect(shown.value).not.toContain("disk");
  expect(shown.value).toContain("name");
  expect(localStorage.getItem("fabric.columns.hidden")).toBe("disk");
  showAll();
  expect(hidden.value.size).toBe(0);
  expect(localStorage.getItem("fabric.columns.hidden")).toBeNull();
});

test("a head sorts one way, the other, and then what needs attention comes first again", () => {
  expect(nextSort("name", "")).toBe("name");
  expect(nextSort("name", "name")).toBe("-name");
  expect(nextSort("name", "-name")).toBe("");
  expect(nextSort("vram", "name")).toBe("-used");
  expect(nextSort("state", "")).toBe("-state");
  expect(nextSort("trend", "name")).toBe("name");
});

test("the sorted column says which way round", () => {
  expect(directionOf("state", "")).toBe("ascending");
  expect(directionOf("name", "-name")).toBe("descending");
  expect(directionOf("name", "")).toBeNull();
});

test("states are asked for one by one, whatever their case", () => {
  expect(toggled("", "Stale")).toBe("Stale");
  expect(toggled("offline,Stale", "Offline")).toBe("Stale");
  expect(toggled("Stale", "Offline")).toBe("Stale,Offline");
});

test("bad states are counted at zero, too, and those that nobody has heard of", () => {
  expect(statesShown({ Online: 3, Frozen: 1, Draining: 0 }, "")).toEqual([
    "Offline",
    "Degraded",
    "Stale",
    "Online",
    "Frozen",
  ]);
  expect(statesShown({}, "unknown")).toContain("Unknown");
});

import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { learn } from "../../src/fleet/clock";
import { reorder } from "../../src/fleet/order";
import { apply } from "../../src/fleet/store";
import { setCurrent } from "../../src/nodes/focus";
import { NodesTab } from "../../src/nodes/tab";
import { go, place } from "../../src/url";
import { type Part, summary, T0 } from "../fleet/make";

const root = document.createElement("div");
document.body.append(root);

const all = (id: string) => [...root.querySelectorAll<HTMLElement>(`[data-testid="${id}"]`)];
const one = (id: string): HTMLElement => {
  const found = all(id)[0];
  if (!found) throw new Error(`no ${id}`);
  return found;
};
const rowOf = (id: string) => root.querySelector<HTMLElement>(`[data-node="${id}"]`);
const fleet = (nodes: Record<string, Part>) =>
  act(() => {
    const rows = Object.entries(nodes).map(([id, part]) => summary(id, part));
    apply([{ kind: "snapshot", rows }]);
    reorder();
  });
const press = (key: string, target: EventTarget = document.body) =>
  act(() => {
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  });

beforeEach(() => {
  localStorage.clear();
  learn(new Date(T0 + 5000).toISOString());
  act(() => {
    setCurrent(null);
    go({ q: "", state: "", model: "", gpu: "", sort: "", node: "", view: "table" }, "replace");
    render(<NodesTab />, root);
  });
});

afterEach(() => {
  act(() => render(null, root));
});

test("before the first list came it says that it waits, and never that there is nothing", () => {
  expect(all("connecting")).toHaveLength(1);
  expect(all("empty-no-nodes")).toHaveLength(0);
  // Nobody knows yet how many there are: no count is shown, least of all zero.
  expect(all("summary")).toHaveLength(0);
  expect(all("result-count")).toHaveLength(0);
});

test("without nodes it tells the command that brings the first, and the doctor", async () => {
  fleet({});
  await vi.waitFor(() => one("empty-no-nodes"));
  const text = one("empty-no-nodes").textContent;
  expect(text).toContain(
    "helm install citadel charts/citadel-k8s --namespace citadel --create-namespace",
  );
  expect(text).toContain("kubectl fabric doctor");
});

test("a search without a match offers to clear it", async () => {
  fleet({ a: {} });
  act(() => go({ q: "zzz" }, "replace"));
  await vi.waitFor(() => one("empty-no-match"));
  act(() => one("empty-no-match").querySelector("button")?.click());
  expect(place.value.q).toBe("");
  expect(all("node-row")).toHaveLength(1);
});

test("the table is a table: caption, scopes, order, indexes", () => {
  fleet({ a: {}, b: {} });
  const table = one("node-table");
  expect(table.querySelector("caption")?.textContent).toBeTruthy();
  expect(table.getAttribute("aria-rowcount")).toBe("3");
  expect(all("node-row").map((row) => row.getAttribute("aria-rowindex"))).toEqual(["2", "3"]);
  expect(table.querySelectorAll('th[scope="row"]')).toHaveLength(2);
  expect(table.querySelector("th[aria-sort=ascending]")?.textContent).toBe("State");
  act(() => table.querySelector<HTMLElement>(".head-of-name button")?.click());
  expect(place.value.sort).toBe("name");
});

test("one row is in the order of tabs, j and k go on from it, Enter opens it", () => {
  fleet({ a: {}, b: {}, c: {} });
  const tabs = () => all("node-row").map((row) => row.tabIndex);
  expect(tabs()).toEqual([0, -1, -1]);
  act(() => rowOf("a")?.focus());
  press("j");
  press("j");
  press("k");
  expect(document.activeElement).toBe(rowOf("b"));
  expect(tabs()).toEqual([-1, 0, -1]);
  press("Enter", rowOf("b") ?? undefined);
  expect(place.value.node).toBe("b");
});

test("a row opens at a click, but not where somebody presses a control of it", () => {
  fleet({ a: { profile: { models: ["m/one", "m/two", "m/three"] } } });
  act(() => one("model-chip").click());
  expect([place.value.model, place.value.node]).toEqual(["m/one", ""]);
  act(() => rowOf("a")?.querySelector("td")?.click());
  expect(place.value.node).toBe("a");
});

test("the name is a link, so that it opens in a tab of its own", () => {
  fleet({ a: { profile: { name: "rack one" } } });
  const link = rowOf("a")?.querySelector("a");
  expect(link?.getAttribute("href")).toContain("node=a");
  expect(link?.textContent).toBe("rack one");
});

test("of a long list only what is in sight is drawn, and the focused row stays", () => {
  const nodes = Array.from({ length: 1000 }, (_, at) => [`n${String(at).padStart(4, "0")}`, {}]);
  fleet(Object.fromEntries(nodes));
  expect(all("node-row").length).toBeLessThan(60);
  act(() => setCurrent("n0900"));
  const held = rowOf("n0900");
  expect(held?.getAttribute("aria-rowindex")).toBe("902");
  act(() => held?.focus());
  act(() => apply([{ kind: "node", delta: { id: "n0000", state: "Offline" } }]));
  expect(document.activeElement).toBe(rowOf("n0900"));
  expect(one("result-count").textContent).toBe("1,000 nodes");
});

test("only the changed figure lights up, and each time anew", () => {
  fleet({ a: { pulse: { cpu: 0.5, memory: 0.5 } } });
  const text = (column: string) => rowOf("a")?.querySelector(`.cell-of-${column} .figure-text`);
  const beat = (cpu: number) =>
    act(() => apply([{ kind: "node", delta: { id: "a", pulse: { cpu, memory: 0.5 } } }]));
  expect(text("cpu")?.className).not.toContain("flash");
  beat(0.6);
  const first = text("cpu")?.className;
  expect(first).toContain("flash");
  expect(text("memory")?.className).not.toContain("flash");
  beat(0.7);
  expect(text("cpu")?.className).toContain("flash");
  expect(text("cpu")?.className).not.toBe(first);
});

test("a heartbeat of one node leaves the elements of the others as they are", () => {
  fleet({ a: { pulse: { cpu: 0.5 } }, b: { pulse: { cpu: 0.5 } } });
  const seen = vi.fn();
  const watch = new MutationObserver(seen);
  const other = rowOf("b");
  if (other) watch.observe(other, { subtree: true, childList: true, attributes: true });
  act(() => apply([{ kind: "node", delta: { id: "a", pulse: { cpu: 0.9 } } }]));
  expect(watch.takeRecords()).toHaveLength(0);
  expect(seen).not.toHaveBeenCalled();
  watch.disconnect();
});

test("figures are dimmed when a heartbeat is overdue, and struck when it is lost", () => {
  const at = (seconds: number) => new Date(T0 - seconds * 1000).toISOString();
  fleet({
    a: { lastHeartbeat: at(0) },
    b: { lastHeartbeat: at(60) },
    c: { lastHeartbeat: at(840), state: "Offline", reason: "HeartbeatLost" },
    d: { lastHeartbeat: null, state: "Unknown" },
  });
  const trust = (id: string) => rowOf(id)?.dataset.trust;
  expect(["a", "b", "c", "d"].map(trust)).toEqual(["fresh", "old", "lastKnown", "never"]);
  expect(rowOf("c")?.textContent).toContain("14 min ago");
  expect(rowOf("c")?.textContent).toContain("last known");
  expect(rowOf("c")?.textContent).toContain("HeartbeatLost");
  expect(rowOf("d")?.textContent).toContain("never");
});

test("what is not known is said, and never zero", () => {
  fleet({ a: {} });
  const text = rowOf("a")?.textContent ?? "";
  expect(text.match(/unknown/g)?.length).toBeGreaterThan(5);
  expect(text).not.toMatch(/\b0 %/);
  expect(rowOf("a")?.querySelectorAll('[role="meter"]')).toHaveLength(0);
});

test("a GPU is a cell with its memory, its band and its fault; more than fit are counted", () => {
  const gpu = Array.from({ length: 24 }, (_, at): [number, number, number] => [
    90,
    50,
    at === 20 ? 2 : 0,
  ]);
  gpu[1] = [0, 10, 1];
  fleet({ a: { pulse: { gpu } }, b: { pulse: { gpu: [[null, null, null]] } } });
  const cells = rowOf("a")?.querySelectorAll<HTMLElement>('[data-testid="gpu-cell"]') ?? [];
  expect(cells).toHaveLength(15);
  expect(cells[0]?.dataset.band).toBe("4");
  expect(cells[1]?.dataset.mark).toBe("1");
  expect(cells[1]?.title).toBe("GPU 1: utilization 0 %, VRAM 10 %, degraded");
  const rest = rowOf("a")?.querySelector<HTMLElement>(".strip-rest");
  expect([rest?.textContent, rest?.dataset.mark]).toEqual(["+9", "2"]);
  const strip = rowOf("a")?.querySelector("[role=img]");
  expect(strip?.getAttribute("aria-label")).toBe("GPUs: 23/24 busy, 86 %; 2 with faults");
  expect(rowOf("b")?.querySelector(".strip-unknown")).not.toBeNull();
});

test("counts are filters that say whether they hold", () => {
  fleet({ a: {}, b: { state: "Stale" } });
  const button = one("count-Stale");
  expect(button.getAttribute("aria-pressed")).toBe("false");
  act(() => button.click());
  expect(one("count-Stale").getAttribute("aria-pressed")).toBe("true");
  expect(all("node-row").map((row) => row.dataset.node)).toEqual(["b"]);
  act(() => one("filter-clear").click());
  expect(all("node-row")).toHaveLength(2);
});

test("a slash goes to the search, and what is typed there is looked for a moment later", () => {
  vi.useFakeTimers();
  fleet({ alpha: {}, beta: {} });
  press("/");
  const field = one("filter-search") as HTMLInputElement;
  expect(document.activeElement).toBe(field);
  field.value = "alp";
  act(() => {
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  act(() => {
    vi.advanceTimersByTime(200);
  });
  expect(place.value.q).toBe("alp");
  expect(one("result-count").textContent).toContain("1 of");
  vi.useRealTimers();
});

test("cards show the same nodes, and the choice is kept", async () => {
  fleet({ a: { state: "Degraded", reason: "GPUXid", message: "GPU 3 fell off the bus" }, b: {} });
  act(() => one("view-cards").click());
  await vi.waitFor(() => expect(all("node-card")).toHaveLength(2));
  expect(all("node-card").map((card) => card.dataset.node)).toEqual(["a", "b"]);
  expect(rowOf("a")?.textContent).toContain("GPU 3 fell off the bus");
  expect(localStorage.getItem("fabric.view")).toBe("cards");
  expect(place.value.view).toBe("cards");
});

test("what a node says is text, however it looks, and is cut before it floods the page", () => {
  const evil = `<img src=x onerror=alert(1)>${"a".repeat(10_000)}`;
  const profile = {
    name: evil,
    address: evil,
    agent: evil,
    models: [evil],
    gpus: [{ model: evil, count: 1 }],
  };
  fleet({ a: { state: evil, reason: evil, message: evil, profile, labels: { [evil]: evil } } });
  expect(root.querySelectorAll("img, script")).toHaveLength(0);
  expect(rowOf("a")?.textContent?.length).toBeLessThan(700);
  expect(rowOf("a")?.querySelector("a")?.textContent).toContain("<img src=x");
});

test("a row that says nothing but its name is drawn, in the table and as a card", async () => {
  const nothing = { gpu: null, cpu: null, memory: null, disk: null, power: null };
  const profile = { gpus: null, models: null, address: null, agent: null, vramBytes: null };
  fleet({ a: { pulse: nothing, profile }, b: { state: "Frozen", pulse: { gpu: [] } } });
  expect(all("node-row")).toHaveLength(2);
  act(() => one("view-cards").click());
  await vi.waitFor(() => expect(all("node-card")).toHaveLength(2));
  expect(rowOf("b")?.textContent).toContain("Frozen");
});

test("tabs lead through the chips of the row that the keyboard is at, and past all others", () => {
  const profile = { models: ["org/a", "org/b", "c", "d", "e"] };
  fleet({ a: { profile }, b: { profile } });
  const tabs = (id: string) =>
    [...(rowOf(id)?.querySelectorAll<HTMLElement>(".chip") ?? [])].map((chip) => chip.tabIndex);
  expect(new Set([...tabs("a"), ...tabs("b")])).toEqual(new Set([-1]));
  act(() => setCurrent("b"));
  expect(new Set(tabs("a"))).toEqual(new Set([-1]));
  expect(new Set(tabs("b"))).toEqual(new Set([0]));
});

test("a node that goes and comes back within one frame is still followed", () => {
  fleet({ a: {}, b: {} });
  const state = () => rowOf("a")?.dataset.state;
  act(() =>
    apply([
      { kind: "gone", id: "a" },
      { kind: "node", delta: { id: "a", state: "Online" } },
    ]),
  );
  act(() => apply([{ kind: "node", delta: { id: "a", state: "Degraded" } }]));
  expect(state()).toBe("Degraded");
  act(() =>
    apply([
      { kind: "snapshot", rows: [summary("b")] },
      { kind: "node", delta: { id: "a", state: "Degraded" } },
    ]),
  );
  act(() => apply([{ kind: "node", delta: { id: "a", state: "Offline" } }]));
  expect(state()).toBe("Offline");
});

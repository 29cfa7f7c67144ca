import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, expect, test, vi } from "vitest";
import { Tokens } from "../../src/access/tokens";
import { EventLine } from "../../src/events/eventline";
import { endSession, forgetSession, loadSession } from "../../src/fleet/session";
import { apply, forgetFleet, freshEvents, nodeCount } from "../../src/fleet/store";
import { trendOf } from "../../src/fleet/trends";
import { loadModels, models } from "../../src/models/data";
import { summary } from "../fleet/make";

const VIEW = { kind: "session", subject: "u1", orgId: "o1", orgName: "Acme", role: "admin" };
const SECRET = { tokenId: "t1", name: "rack7", scopes: [], token: "act_secret" };
const EVENT = {
  id: "1-0",
  time: "2026-11-24T03:00:00Z",
  node: "a",
  kind: "state",
  reason: "",
  message: "",
  count: 1,
} as const;

const root = document.createElement("div");
document.body.append(root);
const find = (testid: string) => root.querySelector<HTMLElement>(`[data-testid=${testid}]`);
let hold: Promise<void> | null = null;

async function signIn(): Promise<void> {
  forgetSession();
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    if (path === "/api/session") return Response.json(VIEW);
    if (path === "/api/fabric/models") {
      await hold;
      return Response.json([{ model: "m", replicas: 1, nodes: ["a"] }]);
    }
    return Response.json(init.method === "POST" ? SECRET : { tokens: [] });
  });
  await loadSession();
}

afterEach(() => {
  act(() => render(null, root));
  vi.unstubAllGlobals();
});

test("what a session learned is gone from memory with it", async () => {
  await signIn();
  apply([
    { kind: "snapshot", rows: [summary("a")] },
    { kind: "event", event: EVENT },
  ]);
  await loadModels();
  const trend = trendOf("a");
  expect(models.value.list).toHaveLength(1);

  endSession();
  forgetFleet();

  expect(nodeCount()).toBe(0);
  expect(freshEvents.value).toEqual([]);
  expect(models.value.list).toBeNull();
  expect(trendOf("a")).not.toBe(trend);
});

test("an answer that comes after the session is kept by nobody", async () => {
  await signIn();
  let go = () => {};
  hold = new Promise((resolve) => {
    go = resolve;
  });
  const asked = loadModels();
  endSession();
  go();
  await asked;
  hold = null;
  expect(models.value.list).toBeNull();
});

test("a secret that nobody kept does not outlive the session", async () => {
  await signIn();
  act(() => render(<Tokens />, root));
  await vi.waitFor(() => expect(find("token-name")).not.toBeNull());
  act(() => {
    const name = find("token-name") as HTMLInputElement;
    name.value = "rack7";
    name.dispatchEvent(new Event("input", { bubbles: true }));
  });
  act(() => find("token-create")?.click());
  await vi.waitFor(() => expect(find("token-secret")).not.toBeNull());
  act(() => endSession());
  expect(find("token-secret")).toBeNull();
});

test("a kind of event with the name of what all objects have is only a word", () => {
  for (const kind of ["constructor", "__proto__", "toString"]) {
    act(() => render(<EventLine event={{ ...EVENT, kind } as never} />, root));
    expect(find("event-row")?.textContent).toContain(kind);
  }
});

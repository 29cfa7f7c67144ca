import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../src/api/http";
import { Loader } from "../../src/drawer/loader";
import { OpenNode } from "../../src/drawer/node";
import { learn } from "../../src/fleet/clock";
import { apply } from "../../src/fleet/store";

const NOW = "2026-11-24T08:00:00Z";
let seen = "2026-11-24T07:59:40Z";
let asked: string[] = [];
let live: () => Promise<Response> | Response;

function status(cpu: number) {
  return { intervalSeconds: 15, status: { node: { name: "n" }, system: { cpu_percent: cpu } } };
}

function row() {
  return {
    id: "n",
    state: "Online" as const,
    lastHeartbeat: seen,
    profile: { name: "n" },
    pulse: {},
  };
}

function json(body: unknown, code = 200): Response {
  return new Response(JSON.stringify(body), { status: code, headers: { "X-Citadel-Time": NOW } });
}

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  seen = "2026-11-24T07:59:40Z";
  live = () => json({ live: true, seconds: 0.1, address: "a", status: status(9) });
  learn(NOW);
  apply([{ kind: "snapshot", rows: [row()] }]);
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    if (path.endsWith("/live")) return live();
    return json({ node: row(), complete: true, status: status(5) });
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a node that is opened", () => {
  it("is read, then asked, and its own word is shown", async () => {
    const node = new OpenNode("n");
    const stop = node.start();
    await vi.advanceTimersByTimeAsync(10);
    expect(asked).toEqual(["/api/fabric/nodes/n", "/api/fabric/nodes/n/live"]);
    expect(node.figures.value).toMatchObject({ from: "live", status: { system: { cpu: 0.09 } } });
    expect(node.intervalSeconds.value).toBe(15);
    stop();
  });

  it("is read again with its next heartbeat, which then counts", async () => {
    const node = new OpenNode("n");
    const stop = node.start();
    await vi.advanceTimersByTimeAsync(10);
    seen = "2026-11-24T08:00:10Z";
    apply([{ kind: "node", delta: { id: "n", seen } }]);
    await vi.advanceTimersByTimeAsync(10);
    expect(asked.filter((path) => path.endsWith("/n"))).toHaveLength(2);
    expect(node.figures.value.from).toBe("heartbeat");
    stop();
  });

  it("keeps its row and what was read where the API fails", async () => {
    const node = new OpenNode("n");
    const stop = node.start();
    await vi.advanceTimersByTimeAsync(10);
    vi.stubGlobal("fetch", async () => json({ error: "x", error_description: "down" }, 503));
    await node.detail.load();
    expect(node.detail.state.value).toMatchObject({ error: { status: 503 }, since: null });
    expect(node.detail.state.value.value?.complete).toBe(true);
    expect(node.row.value?.id).toBe("n");
    stop();
  });

  it("is not asked any more once it is closed", async () => {
    const node = new OpenNode("n");
    node.start()();
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toEqual(["/api/fabric/nodes/n"]);
  });

  it("is not asked where it is gone", async () => {
    vi.stubGlobal("fetch", async (path: string) => {
      asked.push(path);
      return json({ error: "not_found" }, 404);
    });
    const node = new OpenNode("nobody");
    const stop = node.start();
    await vi.advanceTimersByTimeAsync(10);
    expect(asked).toEqual(["/api/fabric/nodes/nobody"]);
    expect(node.row.value).toBeNull();
    stop();
  });

  it("is asked though its details are slow", async () => {
    vi.stubGlobal("fetch", (path: string) => {
      asked.push(path);
      return path.endsWith("/live") ? Promise.resolve(live()) : new Promise(() => {});
    });
    const node = new OpenNode("n");
    const stop = node.start();
    await vi.advanceTimersByTimeAsync(1100);
    expect(node.live.state.value).toMatchObject({ kind: "heard", changes: null });
    stop();
  });
});

describe("a loader", () => {
  it("reads once at a time, and never ends in a wheel", async () => {
    const read = vi.fn(async () => Promise.reject(new ApiError("timeout", "late")));
    const loader = new Loader(read);
    await Promise.all([loader.load(), loader.load()]);
    expect(read).toHaveBeenCalledTimes(1);
    expect(loader.state.value).toMatchObject({
      value: null,
      error: { step: "timeout" },
      since: null,
    });
  });

  it("drops the answer that comes after it was closed", async () => {
    let answer: (value: number) => void = () => {};
    const loader = new Loader(
      () =>
        new Promise<number>((resolve) => {
          answer = resolve;
        }),
    );
    const loading = loader.load();
    loader.close();
    answer(7);
    await loading;
    expect(loader.state.value.value).toBeNull();
  });
});

describe("a node that is given up while it is open", () => {
  it("is read anew, so that its state says so", async () => {
    const node = new OpenNode("n");
    const stop = node.start();
    await vi.advanceTimersByTimeAsync(10);
    apply([{ kind: "gone", id: "n" }]);
    await vi.advanceTimersByTimeAsync(10);
    expect(asked.filter((path) => path.endsWith("/n"))).toHaveLength(2);
    expect(node.row.value?.id).toBe("n");
    stop();
  });
});

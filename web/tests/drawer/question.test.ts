import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../src/api/http";
import { answered, LiveQuestion, refused } from "../../src/drawer/question";

const STATUS = { status: { node: { name: "n" }, system: { cpu_percent: 9 } } };

function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a live answer", () => {
  it("is the node's own word, compared with what was known", () => {
    const view = { live: true, seconds: 0.084, address: "100.64.0.1", fresh: true, status: STATUS };
    const cached = { status: { node: { name: "n" }, system: { cpu_percent: 5 } } };
    const heard = answered(view, cached);
    expect(heard).toMatchObject({ kind: "heard", seconds: 0.084, address: "100.64.0.1" });
    expect(heard).toMatchObject({ changes: [{ cached: "5 %", live: "9 %" }] });
    expect(answered(view, null)).toMatchObject({ changes: null });
  });

  it("names the step where there was none", () => {
    const view = { live: false, step: "tls", message: "bad certificate", status: STATUS };
    expect(answered(view, STATUS)).toMatchObject({ kind: "failed", step: "tls" });
    expect(answered(null, STATUS)).toMatchObject({ kind: "failed", step: "body" });
    expect(answered({ live: "true" }, STATUS)).toMatchObject({ kind: "failed" });
  });

  it("is refused by the API in words of its own", () => {
    const step = (error: ApiError) => refused(error).step;
    expect(step(new ApiError("network", "x"))).toBe("network");
    expect(step(new ApiError("timeout", "x"))).toBe("wait");
    expect(step(new ApiError("http", "x", 404))).toBe("gone");
    expect(step(new ApiError("http", "x", 401))).toBe("signedOut");
    expect(step(new ApiError("http", "x", 503))).toBe("http");
  });

  it("may be asked for again after the time that a refusal names", () => {
    const later = refused(new ApiError("http", "slow down", 429, "rate_limited", 5)).retryAt ?? 0;
    expect(later - performance.now()).toBeGreaterThan(4000);
    expect(refused(new ApiError("http", "x", 503)).retryAt).toBeNull();
    expect(refused(new ApiError("http", "x", 429)).retryAt).not.toBeNull();
  });
});

describe("a live question", () => {
  it("is asked once at a time", async () => {
    const fetched = vi.fn(async () => json({ live: true, seconds: 0.1, status: STATUS }));
    vi.stubGlobal("fetch", fetched);
    const question = new LiveQuestion("gpu 1");
    await Promise.all([question.ask(() => null), question.ask(() => null)]);
    expect(fetched).toHaveBeenCalledTimes(1);
    expect(fetched).toHaveBeenCalledWith("/api/fabric/nodes/gpu%201/live", expect.anything());
    expect(question.state.peek().kind).toBe("heard");
  });

  it("is called off when the drawer closes, and its answer goes nowhere", async () => {
    let told: AbortSignal | null | undefined;
    let answer: (response: Response) => void = () => {};
    vi.stubGlobal("fetch", (_: string, init: RequestInit) => {
      told = init.signal;
      return new Promise<Response>((resolve) => {
        answer = resolve;
      });
    });
    const question = new LiveQuestion("a");
    const asking = question.ask(() => null);
    question.close();
    answer(json({ live: true, seconds: 0.1, status: STATUS }));
    await asking;
    expect(told?.aborted).toBe(true);
    expect(question.state.peek().kind).toBe("idle");
    expect(question.last.peek()).toBeNull();
  });

  it("keeps the last answer when the next one fails", async () => {
    const answers = [
      json({ live: true, seconds: 0.1, status: STATUS }),
      json({ live: false, step: "connect", status: STATUS }),
    ];
    vi.stubGlobal("fetch", async () => answers.shift());
    const question = new LiveQuestion("a");
    await question.ask(() => null);
    await question.ask(() => null);
    expect(question.state.peek()).toMatchObject({ kind: "failed", step: "connect" });
    expect(question.last.peek()).toMatchObject({ kind: "heard" });
  });
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError, ask } from "../../src/api/http";

let answer: (init: RequestInit) => Response | Promise<Response>;
let sent: RequestInit = {};

beforeEach(() => {
  vi.stubGlobal("fetch", async (_path: string, init: RequestInit) => {
    sent = init;
    return answer(init);
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const failure = async (path = "/api/x", question = {}) => {
  try {
    await ask(path, question);
  } catch (error) {
    return error as ApiError;
  }
  throw new Error("it did not fail");
};

test("a refusal is told in the API's own words, with when to come again", async () => {
  answer = () =>
    Response.json(
      { error: "rate_limited", error_description: "too many", retry_after: 7, request_id: "r1" },
      { status: 429 },
    );
  expect(await failure()).toMatchObject({
    message: "too many",
    step: "http",
    status: 429,
    code: "rate_limited",
    retryAfter: 7,
    requestId: "r1",
  });
});

test("a proxy's own page is told by its status alone", async () => {
  answer = () => new Response("<html>", { status: 502, headers: { "Retry-After": "3" } });
  expect(await failure()).toMatchObject({ status: 502, code: "", retryAfter: 3 });
});

test("an answer of 200 that is no JSON is none", async () => {
  answer = () => new Response("<html>");
  expect(await failure()).toMatchObject({ step: "body", status: 200 });
});

test("an API that cannot be reached is told as such", async () => {
  answer = () => {
    throw new TypeError("Failed to fetch");
  };
  expect(await failure()).toMatchObject({ step: "network", status: 0 });
});

test("an answer that does not come is not waited for for ever", async () => {
  answer = (init) =>
    new Promise((_, reject) => {
      const signal = init.signal as AbortSignal;
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  expect(await failure("/api/x", { deadlineMs: 5 })).toMatchObject({ step: "timeout" });
});

test("who gives up is told nothing but that", async () => {
  const stop = new AbortController();
  answer = () => {
    stop.abort(new Error("gone"));
    throw new TypeError("aborted");
  };
  expect(await failure("/api/x", { signal: stop.signal })).not.toBeInstanceOf(ApiError);
});

test("a session that has ended is told from other refusals", async () => {
  answer = () => Response.json({ error: "unauthorized" }, { status: 401 });
  expect((await failure()).signedOut).toBe(true);
  answer = () => Response.json({ error: "forbidden" }, { status: 403 });
  expect((await failure()).signedOut).toBe(false);
});

test("what is unchanged has no value, and neither has what is empty", async () => {
  for (const status of [204, 304]) {
    answer = () => new Response(null, { status });
    expect(await ask("/api/x", { etag: '"1"' })).toMatchObject({ value: null, status });
  }
  expect(sent.headers).toMatchObject({ "If-None-Match": '"1"' });
});

test("changes are guarded against other sites, questions need no guard", async () => {
  answer = () => Response.json({});
  await ask("/api/x", { method: "POST", body: { a: 1 } });
  expect(sent).toMatchObject({ method: "POST", body: '{"a":1}', credentials: "same-origin" });
  expect(sent.headers).toMatchObject({ "X-Citadel-CSRF": "1" });
  await ask("/api/x");
  expect(sent.headers).not.toHaveProperty("X-Citadel-CSRF");
});

/** One question to the API: JSON in, JSON out, and an error that says at which step it ended. */

export const DEADLINE_SECONDS = 15;
/** Longer than the API itself takes; the live question is bounded by its own deadline of 3 s. */

export type Step = "network" | "timeout" | "http" | "body";

/** What went wrong, in words for people; `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor(
    readonly step: Step,
    message: string,
    readonly status = 0,
    readonly code = "",
    readonly retryAfter: number | null = null,
    readonly requestId: string | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** The session ended, or there was none. */
  get signedOut(): boolean {
    return this.status === 401;
  }
}

export interface Question {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  body?: unknown;
  etag?: string | null;
  signal?: AbortSignal;
  deadlineMs?: number;
}

export interface Answer<T> {
  /** Null for 204 and 304. */
  value: T | null;
  status: number;
  headers: Headers;
}

/** Ask; throws `ApiError`, or the signal's own reason where the caller gave up. */
export async function ask<T>(path: string, question: Question = {}): Promise<Answer<T>> {
  const { method = "GET", body, etag, signal, deadlineMs = DEADLINE_SECONDS * 1000 } = question;
  const deadline = AbortSignal.timeout(deadlineMs);
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-Citadel-CSRF"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (etag) headers[method === "GET" ? "If-None-Match" : "If-Match"] = etag;
  const init: RequestInit = {
    method,
    headers,
    credentials: "same-origin",
    cache: "no-store",
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
  };
  if (body !== undefined) init.body = JSON.stringify(body);
  try {
    const response = await fetch(path, init);
    return await read<T>(response);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (signal?.aborted) throw signal.reason;
    if (deadline.aborted) {
      throw new ApiError("timeout", `no answer within ${deadlineMs / 1000} s`);
    }
    throw new ApiError("network", "the API cannot be reached");
  }
}

async function read<T>(response: Response): Promise<Answer<T>> {
  const { status, headers } = response;
  if (status === 204 || status === 304) return { value: null, status, headers };
  if (!response.ok) throw await refusal(response);
  try {
    return { value: (await response.json()) as T, status, headers };
  } catch {
    throw new ApiError("body", "the answer is no JSON", status);
  }
}

/** Read the refusal that an answer of 400 and more is. */
export async function refusal(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    const told: unknown = await response.json();
    if (told !== null && typeof told === "object") body = told as Record<string, unknown>;
  } catch {
    // A proxy in between answers with a page of its own: the status is all there is to tell.
  }
  const code = typeof body.error === "string" ? body.error : "";
  const described = body.error_description;
  const wait = body.retry_after ?? Number(response.headers.get("Retry-After") ?? Number.NaN);
  return new ApiError(
    "http",
    typeof described === "string" ? described : `the API answers ${response.status}`,
    response.status,
    code,
    typeof wait === "number" && Number.isFinite(wait) ? wait : null,
    typeof body.request_id === "string" ? body.request_id : null,
  );
}

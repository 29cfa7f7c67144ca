/** Who looks, and what they may do. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { ApiError, ask } from "../api/http";
import type { SessionView } from "../api/types";

const ROLES = ["viewer", "editor", "admin"] as const;
/** Each may do what the former may. */

export type Role = (typeof ROLES)[number];

const current = signal<SessionView | null | undefined>(undefined);

/** Who is signed in; null: nobody; undefined: not known yet. */
export const session: ReadonlySignal<SessionView | null | undefined> = current;

/**
 * Ask who is signed in. Throws `ApiError` where that cannot be learned, and keeps what was known.
 *
 * Browsers have one session for all tabs: where another tab signed somebody else in, this one
 * begins anew, for no row of the one org may stand beside those of the other.
 */
export async function loadSession(signal?: AbortSignal): Promise<void> {
  try {
    const { value } = await ask<SessionView>("/api/session", signal ? { signal } : {});
    if (!sound(value)) throw new ApiError("body", "the answer is no session", 200);
    const before = current.peek();
    if (before !== undefined && idOf(before) !== idOf(value)) location.reload();
    else current.value = value;
  } catch (error) {
    if (!(error instanceof ApiError) || !error.signedOut) throw error;
    current.value = null;
  }
}

/** Look whose page it is by now; cookies are those of all tabs. */
export function askWho(): void {
  loadSession().catch(() => undefined);
}

/** End the session, here and on the server. Throws `ApiError` if the server did not hear of it. */
export async function signOut(): Promise<void> {
  await ask("/api/session", { method: "DELETE" });
  current.value = null;
}

/** Note that the session has ended, as an answer of 401 says. */
export function endSession(): void {
  current.value = null;
}

/** Forget who it was, as if nobody had asked. */
export function forgetSession(): void {
  current.value = undefined;
}

/** Whether the visitor may do what a role may; reads a signal. */
export function may(role: Role): boolean {
  const own = (ROLES as readonly unknown[]).indexOf(current.value?.role);
  return own >= ROLES.indexOf(role);
}

function idOf(view: SessionView | null): string {
  return `${view?.orgId} ${view?.subject}`;
}

function sound(view: SessionView | null): view is SessionView {
  return view !== null && typeof view === "object" && typeof view.subject === "string";
}

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

/** Ask who is signed in. Throws `ApiError` where that cannot be learned, and keeps what was known. */
export async function loadSession(signal?: AbortSignal): Promise<void> {
  try {
    const answer = await ask<SessionView>("/api/session", signal ? { signal } : {});
    current.value = sound(answer.value) ? answer.value : null;
  } catch (error) {
    if (!(error instanceof ApiError) || !error.signedOut) throw error;
    current.value = null;
  }
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

/** Whether the visitor may do what a role may; reads a signal. */
export function may(role: Role): boolean {
  const own = (ROLES as readonly unknown[]).indexOf(current.value?.role);
  return own >= ROLES.indexOf(role);
}

function sound(view: SessionView | null): boolean {
  return view !== null && typeof view === "object" && typeof view.subject === "string";
}

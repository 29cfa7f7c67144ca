/** Whether a token holds, and for how long. */

import type { TokenView } from "../api/types";
import { dateOf } from "../units";

export type TokenState = "active" | "rotated" | "expired" | "revoked";

/** By the server's clock; a rotated one works on for its grace. `nowMs` 0: nobody knows the time. */
export function stateOf(token: TokenView, nowMs: number): TokenState {
  if (passed(token.revokedAt, nowMs)) return "revoked";
  if (passed(token.expiresAt, nowMs)) return "expired";
  return token.replacedBy ? "rotated" : "active";
}

function passed(stamp: string | null | undefined, nowMs: number): boolean {
  const at = dateOf(stamp);
  return at !== null && nowMs > 0 && at <= nowMs;
}

/** Milliseconds at which it ends; null: never, as far as is known. */
export function endMs(token: TokenView): number | null {
  const ends = [token.expiresAt, token.revokedAt].map(dateOf).filter((end) => end !== null);
  return ends.length > 0 ? Math.min(...ends) : null;
}

/** Read a number out of a field; undefined: empty; null: none that is allowed. */
export function numberOf(text: string, least: number, most: number): number | null | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) && value >= least && value <= most ? value : null;
}

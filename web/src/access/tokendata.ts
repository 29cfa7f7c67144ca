/** The org's device tokens as the API has them. */

import { useEffect, useState } from "preact/hooks";
import { ask } from "../api/http";
import type { TokenMade, TokenView } from "../api/types";

const PATH = "/api/orgs/tokens";

export interface Wanted {
  name: string;
  nodeId?: string;
  scopes: readonly string[];
  days?: number;
}

export interface Tokens {
  /** Null: nothing came yet. */
  readonly list: readonly TokenView[] | null;
  readonly next: string | null;
  readonly error: string | null;
  readonly since: number;
}

export interface TokenBook extends Tokens {
  reload: () => Promise<void>;
  more: () => Promise<void>;
}

interface Part {
  tokens: TokenView[];
  next?: string | null;
}

/** The list, and what asks for it again. */
export function useTokens(): TokenBook {
  const [state, setState] = useState<Tokens>(() => ({
    list: null,
    next: null,
    error: null,
    since: performance.now(),
  }));
  const part = async (after: string | null) => {
    try {
      const { value } = await ask<Part>(
        after ? `${PATH}?after=${encodeURIComponent(after)}` : PATH,
      );
      const got = Array.isArray(value?.tokens) ? value.tokens : [];
      const next = value?.next ?? null;
      setState((old) => ({
        ...old,
        list: after ? [...(old.list ?? []), ...got] : got,
        next,
        error: null,
      }));
    } catch (error) {
      setState((old) => ({ ...old, error: (error as Error).message }));
    }
  };
  useEffect(() => void part(null), []);
  return { ...state, reload: () => part(null), more: () => part(state.next) };
}

/** Make one. The secret is in the answer, this once. */
export function makeToken(wanted: Wanted): Promise<TokenMade> {
  return made(PATH, wanted);
}

/** Make another with the same rights; the old one works on for the grace. */
export function rotateToken(id: string, graceHours: number): Promise<TokenMade> {
  return made(`${PATH}/${encodeURIComponent(id)}/rotate`, { graceHours });
}

/** End one. */
export async function revokeToken(id: string): Promise<void> {
  await ask(`${PATH}/${encodeURIComponent(id)}`, { method: "DELETE" });
}

async function made(path: string, body: unknown): Promise<TokenMade> {
  const { value } = await ask<TokenMade>(path, { method: "POST", body });
  if (!value?.token) throw new Error("the answer holds no token");
  return value;
}

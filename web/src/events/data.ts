/** The events that were asked for, and those that came since. */

import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "../api/http";
import type { FleetEvent } from "../api/types";
import { serverNow } from "../fleet/clock";
import { type Filter, questionOf, soundNode } from "./filter";
import { merged } from "./list";

const SETTLE_MS = 300;
/** Somebody may still be typing. */

export interface Listed {
  /** Null: nothing came yet. */
  readonly list: readonly FleetEvent[] | null;
  readonly cursor: string | null;
  readonly error: string | null;
  /** Where the stopwatch stood when it was asked; null: nothing is under way. */
  readonly since: number | null;
}

const NOTHING: Listed = { list: null, cursor: null, error: null, since: null };

export interface Events extends Listed {
  older: () => void;
  again: () => void;
  take: (newer: readonly FleetEvent[]) => void;
}

/** Ask for events, anew whenever the filter is another. */
export function useEvents(filter: Filter, words: string): Events {
  const [state, setState] = useState(NOTHING);
  const turn = useRef(0);
  const fetchPart = async (cursor: string | null) => {
    const mine = ++turn.current;
    setState((before) => ({ ...before, error: null, since: performance.now() }));
    const told = await partOf(filter, cursor);
    // An answer to a former question comes too late.
    if (mine === turn.current) setState((before) => afterPart(before, told, cursor !== null));
  };
  useEffect(() => {
    setState(NOTHING);
    if (!soundNode(filter.node)) return;
    const timer = setTimeout(() => void fetchPart(null), SETTLE_MS);
    return () => {
      clearTimeout(timer);
      turn.current += 1;
    };
  }, [words]);
  return {
    ...state,
    older: () => void fetchPart(state.cursor),
    again: () => void fetchPart(state.list ? state.cursor : null),
    take: (newer) => setState((before) => ({ ...before, list: merged(newer, before.list ?? []) })),
  };
}

interface Part {
  list: readonly FleetEvent[];
  cursor: string | null;
  error: string | null;
}

async function partOf(filter: Filter, cursor: string | null): Promise<Part> {
  try {
    const question = questionOf(filter, serverNow() ?? Date.now(), cursor);
    const { value, headers } = await ask<FleetEvent[]>(question);
    const list = Array.isArray(value) ? value.filter(sound) : [];
    return { list, cursor: headers.get("X-Next-Cursor"), error: null };
  } catch (error) {
    return { list: [], cursor, error: (error as Error).message };
  }
}

function sound(event: FleetEvent): boolean {
  return typeof event?.node === "string" && typeof event.time === "string";
}

function afterPart(before: Listed, part: Part, older: boolean): Listed {
  if (part.error) return { ...before, error: part.error, since: null };
  const list = older ? merged(before.list ?? [], part.list) : part.list;
  return { list, cursor: part.cursor, error: null, since: null };
}

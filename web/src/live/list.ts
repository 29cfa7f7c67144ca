/** All rows by the list: for the first sight, and while no stream is to be had. */

import { ApiError, ask } from "../api/http";
import type { NodeSummary } from "../api/types";
import { dateOf } from "../units";
import { readRows } from "./messages";
import { positionOf } from "./position";

const LIMIT = 5000;
/** Rows of one page; the most that the API gives. */

const PAGES_MAX = 10;
/** Pages at most: a cursor that leads round in a circle ends. */

export interface Listed {
  readonly rows: readonly NodeSummary[];
  /** The id of the stream to go on from; null: nobody knows. */
  readonly position: string | null;
  /** The server's clock, as a text. */
  readonly time: string | null;
  readonly asOfMs: number | null;
  readonly lag: number | null;
  /** Names what was given, where it was all of it. */
  readonly etag: string | null;
}

export type Beside = Omit<Listed, "rows">;

/**
 * Ask for all rows. Rows are null if they are those of `etag`.
 * Throws `ApiError`, or the reason of the signal.
 */
export async function readList(
  signal: AbortSignal,
  etag: string | null = null,
): Promise<Beside & { readonly rows: readonly NodeSummary[] | null }> {
  const first = await ask<unknown>(pathOf(null), { signal, etag });
  const beside = besideOf(first.headers);
  if (first.status === 304) return { ...beside, etag, rows: null };
  const rows = [...rowsOf(first.value)];
  let cursor = first.headers.get("X-Next-Cursor");
  const whole = cursor === null;
  for (let page = 1; cursor !== null && page < PAGES_MAX; page += 1) {
    const next = await ask<unknown>(pathOf(cursor), { signal });
    rows.push(...rowsOf(next.value));
    cursor = next.headers.get("X-Next-Cursor");
  }
  // The position is the first page's: what happened between the pages comes again.
  return { ...beside, etag: whole ? beside.etag : null, rows };
}

function pathOf(cursor: string | null): string {
  const more = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
  return `/api/fabric/nodes?limit=${LIMIT}${more}`;
}

function rowsOf(value: unknown): NodeSummary[] {
  const rows = readRows(value);
  if (rows === null) throw new ApiError("body", "the answer is no list of nodes", 200);
  return rows;
}

function besideOf(headers: Headers): Beside {
  const lag = Number.parseFloat(headers.get("X-Citadel-Ingest-Lag") ?? "");
  return {
    position: positionOf(headers.get("X-Citadel-Position")),
    time: headers.get("X-Citadel-Time") || headers.get("Date"),
    asOfMs: dateOf(headers.get("X-Citadel-As-Of")),
    lag: Number.isFinite(lag) && lag >= 0 ? lag : null,
    etag: headers.get("ETag"),
  };
}

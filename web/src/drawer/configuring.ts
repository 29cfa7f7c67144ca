/** Reading and changing what is asked of a node. */

import { ask } from "../api/http";
import type { ConfigView } from "../api/types";
import { nodePath } from "./detail";
import { bag } from "./json";

export interface Configured {
  readonly view: ConfigView;
  /** The version that a change names, so that nobody's change is lost. */
  readonly etag: string;
}

export async function readConfig(id: string, signal: AbortSignal): Promise<Configured> {
  const { value, headers } = await ask<ConfigView>(nodePath(id, "/config"), { signal });
  return { view: value ?? {}, etag: headers.get("ETag") ?? "" };
}

/** What is asked, as it is edited. */
export function configText(asked: Configured): string {
  return JSON.stringify(asked.view.config ?? {}, null, 2);
}

/** Ask for another configuration; throws `ApiError` of status 412 where it was changed meanwhile. */
export async function writeConfig(id: string, body: unknown, etag: string): Promise<void> {
  await ask(nodePath(id, "/config"), { method: "PUT", body, etag });
}

export type Parsed =
  | { readonly ok: true; readonly value: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly why: string | null };

/** Read what somebody typed; `why` is null where it is JSON, and no object. */
export function parseConfig(text: string): Parsed {
  try {
    const value: unknown = JSON.parse(text);
    const object = value !== null && typeof value === "object" && !Array.isArray(value);
    return object ? { ok: true, value: bag(value) } : { ok: false, why: null };
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : "" };
  }
}

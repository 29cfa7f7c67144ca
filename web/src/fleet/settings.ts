/** How often nodes speak and how long their silence is borne, as the server has it. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { ask } from "../api/http";
import { learn } from "./clock";
import { session } from "./session";

export interface Settings {
  /** Seconds between two heartbeats. */
  readonly intervalSeconds: number;
  /** Seconds of silence after which a node is Stale. */
  readonly staleSeconds: number;
  /** Seconds of silence after which a node is Offline. */
  readonly timeoutSeconds: number;
  /** Seconds that a node is given to answer a live question. */
  readonly liveDeadlineSeconds: number;
  /** The server's version; null: not known. */
  readonly version: string | null;
  /** Where Grafana is; null: nowhere. */
  readonly grafanaUrl: string | null;
  readonly orgName: string | null;
}

const DEFAULTS: Omit<Settings, "orgName"> = {
  intervalSeconds: 30,
  staleSeconds: 45,
  timeoutSeconds: 100,
  liveDeadlineSeconds: 3,
  version: null,
  grafanaUrl: null,
};
/** As the server has them unless told otherwise: three heartbeats and 10 s. */

const said = signal(DEFAULTS);
const other = signal<string | null>(null);

/** The server's version where it is not the one that served the page; null: it is, or is not known. */
export const newer: ReadonlySignal<string | null> = other;

let first: string | null = null;

/** The settings; defaults until the server told its own. */
export const settings: ReadonlySignal<Settings> = computed(() => ({
  ...said.value,
  orgName: session.value?.orgName ?? null,
}));

/** Ask for them. Throws `ApiError`; then the defaults, or what was known, stay. */
export async function loadSettings(signal?: AbortSignal): Promise<void> {
  const answer = await ask<unknown>("/api/settings", signal ? { signal } : {});
  learn(answer.headers.get("X-Citadel-Time") ?? answer.headers.get("Date"));
  said.value = settingsOf(answer.value);
  const { version } = said.value;
  first ??= version;
  other.value = version === first ? null : version;
}

function settingsOf(told: unknown): Omit<Settings, "orgName"> {
  const view = told !== null && typeof told === "object" ? (told as Record<string, unknown>) : {};
  const seconds = (name: keyof typeof DEFAULTS & `${string}Seconds`) => {
    const value = view[name];
    return typeof value === "number" && value > 0 && value < 86_400 ? value : DEFAULTS[name];
  };
  return {
    intervalSeconds: seconds("intervalSeconds"),
    staleSeconds: seconds("staleSeconds"),
    timeoutSeconds: seconds("timeoutSeconds"),
    liveDeadlineSeconds: seconds("liveDeadlineSeconds"),
    version: typeof view.version === "string" ? view.version.slice(0, 64) : null,
    grafanaUrl: webAddress(view.grafanaUrl),
  };
}

/** Only what a link may lead to: never `javascript:`. */
function webAddress(value: unknown): string | null {
  if (typeof value !== "string" || !URL.canParse(value)) return null;
  return ["https:", "http:"].includes(new URL(value).protocol) ? value : null;
}

/** What a status says of one service; null is unknown. */

import { at, listAt, numberAt, sizeAt, textAt, textsAt } from "./json";

export interface Model {
  readonly name: string;
  /** Null: the service does not say which of its models are in memory. */
  readonly loaded: boolean | null;
  readonly adapter: boolean;
}

export interface Service {
  readonly name: string | null;
  readonly type: string | null;
  readonly status: string | null;
  readonly health: string | null;
  readonly engine: string | null;
  readonly engineVersion: string | null;
  readonly port: number | null;
  readonly models: readonly Model[] | null;
  readonly reason: string | null;
  readonly message: string | null;
  readonly running: number | null;
  readonly waiting: number | null;
  /** Ratio of 0 to 1. */
  readonly kvCache: number | null;
  readonly tokensPerSecond: number | null;
  readonly probeMs: number | null;
  readonly firstTokenMs: number | null;
  readonly namespace: string | null;
  readonly pod: string | null;
  readonly container: string | null;
  readonly gpus: readonly number[] | null;
  /** Bytes. */
  readonly vram: number | null;
}

export function readService(item: unknown): Service {
  const kv = numberAt(item, "kv_cache_percent");
  return {
    name: textAt(item, "name"),
    type: textAt(item, "type"),
    status: textAt(item, "status"),
    health: textAt(item, "health"),
    engine: textAt(item, "engine"),
    engineVersion: textAt(item, "engine_version"),
    port: portOf(numberAt(item, "port")),
    models: modelsOf(item),
    reason: textAt(item, "reason"),
    message: textAt(item, "message"),
    running: sizeAt(item, "requests_running"),
    waiting: sizeAt(item, "requests_waiting"),
    kvCache: kv === null || kv < 0 ? null : Math.min(1, kv / 100),
    tokensPerSecond: sizeAt(item, "generation_tokens_per_second"),
    probeMs: sizeAt(item, "canary_ms"),
    firstTokenMs: sizeAt(item, "ttft_ms_p50"),
    namespace: textAt(item, "namespace"),
    pod: textAt(item, "pod"),
    container: textAt(item, "container"),
    gpus: listAt(item, "gpus")?.filter((index) => typeof index === "number") ?? null,
    vram: sizeAt(at(item, "footprint"), "vram_bytes"),
  };
}

function modelsOf(item: unknown): Model[] | null {
  const names = textsAt(item, "models");
  if (names === null) return null;
  const loaded = textsAt(item, "loaded_models");
  const adapters = new Set(textsAt(item, "adapters") ?? []);
  const inMemory = loaded === null ? null : new Set(loaded);
  return [...new Set(names)].map((name) => ({
    name,
    loaded: inMemory === null ? null : inMemory.has(name),
    adapter: adapters.has(name),
  }));
}

/** A port of 0 is an old word for none. */
function portOf(port: number | null): number | null {
  return port !== null && Number.isInteger(port) && port >= 1 && port <= 65_535 ? port : null;
}

export type ServiceTone = "good" | "warn" | "bad" | "dim";

/** How a service does: ready is healthy, not merely running. */
export function toneOf(service: Pick<Service, "health" | "status">): ServiceTone {
  switch (service.health) {
    case "ok":
    case "healthy":
      return "good";
    case "degraded":
    case "starting":
    case "loading":
      return "warn";
    case null:
    case "unknown":
      return service.status === "stopped" || service.status === "failed" ? "bad" : "dim";
    default:
      return "bad";
  }
}

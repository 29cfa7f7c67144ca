/** A node's status as the drawer shows it; null is unknown everywhere. */

import { dateOf } from "../units";
import type { Gpu } from "./gpu";
import { readGpu } from "./gpustatus";
import { at, bag, bytesAt, numberAt, readAll, sizeAt, textAt, textsAt } from "./json";
import { readService, type Service } from "./servicestatus";

const GIB = 1024 ** 3;

/** How one source of the status fared. */
export interface Collector {
  readonly name: string;
  readonly state: string | null;
  readonly reason: string | null;
  readonly message: string | null;
}

export interface System {
  /** Ratios of 0 to 1, and bytes. */
  readonly cpu: number | null;
  readonly cores: number | null;
  readonly memoryUsed: number | null;
  readonly memoryTotal: number | null;
  readonly diskUsed: number | null;
  readonly diskTotal: number | null;
  readonly load: number | null;
  readonly kernel: string | null;
  readonly uptimeSeconds: number | null;
}

export interface Status {
  readonly name: string | null;
  readonly addresses: readonly string[];
  readonly statusPort: number | null;
  readonly transport: string | null;
  readonly agent: string | null;
  readonly intervalSeconds: number | null;
  readonly bootId: string | null;
  /** Milliseconds of the node's own clock. */
  readonly saidMs: number | null;
  readonly driver: string | null;
  readonly goodbye: string | null;
  readonly system: System;
  /** Null: it said nothing of GPUs; empty: it has none. */
  readonly gpus: readonly Gpu[] | null;
  readonly services: readonly Service[] | null;
  readonly collectors: readonly Collector[] | null;
  /** What was left out, because there was too much. */
  readonly truncated: readonly string[];
}

/** The status inside an envelope, or the bare status that the oldest nodes send. */
export function innerOf(message: unknown): unknown {
  const wrapped = at(message, "status");
  return wrapped !== null && typeof wrapped === "object" && !Array.isArray(wrapped)
    ? wrapped
    : message;
}

/** Read what a node said; null if it said nothing that could be read. */
export function readStatus(message: unknown): Status | null {
  if (Object.keys(bag(message)).length === 0) return null;
  const inner = innerOf(message);
  const node = at(inner, "node");
  const gpus = readGpus(inner);
  return {
    name: textAt(node, "display_name") ?? textAt(node, "name"),
    addresses: addressesOf(message, node),
    statusPort: sizeAt(message, "statusPort"),
    transport: textAt(at(message, "agent"), "transport"),
    agent: textAt(at(message, "agent"), "version"),
    intervalSeconds: positive(numberAt(message, "intervalSeconds")),
    bootId: textAt(message, "bootId"),
    saidMs: dateOf(textAt(inner, "timestamp") ?? textAt(message, "timestamp")),
    driver: gpus?.find((gpu) => gpu.driver !== null)?.driver ?? null,
    goodbye: textAt(at(message, "goodbye"), "reason"),
    system: readSystem(at(inner, "system")),
    gpus,
    services: readAll(inner, "services", readService),
    collectors: readAll(inner, "collectors", readCollector),
    truncated: textsAt(inner, "truncated") ?? [],
  };
}

function readGpus(inner: unknown): Gpu[] | null {
  // The contract allows null for "no GPUs"; only an absent key says nothing.
  if (at(inner, "gpu") === null) return [];
  const gpus = readAll(inner, "gpu", readGpu);
  return gpus?.sort((a, b) => (a.index ?? Infinity) - (b.index ?? Infinity)) ?? null;
}

function addressesOf(message: unknown, node: unknown): string[] {
  const told = textsAt(message, "addresses") ?? [];
  const own = [textAt(node, "tailscale_ip"), textAt(node, "network_ip")];
  return [...new Set([...told, ...own].filter((address) => address !== null))].slice(0, 16);
}

function readSystem(system: unknown): System {
  return {
    cpu: ratio(numberAt(system, "cpu_percent")),
    cores: sizeAt(system, "cpu_count"),
    memoryUsed: bytesAt(system, GIB, "memory_used_gb"),
    memoryTotal: bytesAt(system, GIB, "memory_total_gb"),
    diskUsed: bytesAt(system, GIB, "disk_used_gb"),
    diskTotal: bytesAt(system, GIB, "disk_total_gb"),
    load: sizeAt(system, "load_1m"),
    kernel: textAt(system, "kernel"),
    uptimeSeconds: sizeAt(system, "host_uptime_seconds"),
  };
}

function readCollector(item: unknown): Collector {
  return {
    name: textAt(item, "name") ?? "",
    state: textAt(item, "state"),
    reason: textAt(item, "reason"),
    message: textAt(item, "message"),
  };
}

function positive(value: number | null): number | null {
  return value !== null && value > 0 ? value : null;
}

/** Per cent as a ratio; what lies outside of 0 to 100 is no answer. */
export function ratio(percent: number | null): number | null {
  return percent !== null && percent >= 0 && percent <= 100 ? percent / 100 : null;
}

/** A part of a whole, 0 to 1; unknown unless both are known. */
export function share(part: number | null, all: number | null): number | null {
  if (part === null || all === null || all <= 0) return null;
  return Math.min(1, Math.max(0, part / all));
}

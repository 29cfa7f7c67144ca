/** What a status says of one GPU; null is unknown. */

import type { Ecc, Gpu, Holder, Link, Process, Slice, Verdict, Xid } from "./gpu";
import { at, bytesAt, flagAt, numberAt, readAll, sizeAt, textAt, textsAt } from "./json";

const MIB = 1024 ** 2;

export function readGpu(item: unknown): Gpu {
  return { ...identity(item), ...measures(item), ...faults(item), ...users(item) };
}

function identity(item: unknown) {
  return {
    index: sizeAt(item, "index"),
    name: textAt(item, "name"),
    vendor: textAt(item, "vendor"),
    uuid: textAt(item, "uuid"),
    bus: textAt(item, "pci_bus_id"),
    driver: textAt(item, "driver"),
    health: textAt(item, "health"),
    reason: textAt(item, "reason"),
    message: textAt(item, "message"),
    ageSeconds: sizeAt(item, "age_seconds"),
  };
}

function measures(item: unknown) {
  const util = sizeAt(item, "utilization_percent");
  return {
    util: util === null ? null : Math.min(1, util / 100),
    memoryUsed: bytesAt(item, MIB, "memory_used_mb"),
    memoryTotal: bytesAt(item, MIB, "memory_total_mb"),
    temperature: numberAt(item, "temperature_celsius"),
    slowdownAt: sizeAt(item, "temperature_slowdown_celsius"),
    memoryTemperature: numberAt(item, "memory_temperature_celsius"),
    power: sizeAt(item, "power_watts"),
    powerLimit: sizeAt(item, "power_limit_watts"),
    clock: sizeAt(item, "clock_sm_mhz") ?? sizeAt(item, "clock_graphics_mhz"),
    memoryClock: sizeAt(item, "clock_memory_mhz"),
    throttle: textsAt(item, "throttle_reasons"),
    pcie: readLink(at(item, "pcie")),
    nvlinks: sizeAt(at(item, "nvlink"), "links"),
    nvlinksUp: sizeAt(at(item, "nvlink"), "up"),
  };
}

function faults(item: unknown) {
  return {
    eccEnabled: flagAt(item, "ecc_enabled"),
    ecc: readEcc(at(item, "ecc")),
    remapPending: flagAt(at(item, "row_remap"), "pending"),
    remapFailed: flagAt(at(item, "row_remap"), "failed"),
    xids: readAll(item, "xids", readXid),
    verdicts: readAll(item, "verdicts", readVerdict),
  };
}

function users(item: unknown) {
  return {
    migEnabled: flagAt(item, "mig_enabled"),
    slices: readAll(item, "mig", readSlice),
    holders: readAll(item, "holders", readHolder),
    processes: readAll(item, "processes", readProcess),
  };
}

function readLink(pcie: unknown): Link | null {
  if (pcie === null || pcie === undefined) return null;
  return {
    generation: sizeAt(pcie, "generation"),
    generationMax: sizeAt(pcie, "generation_max"),
    width: sizeAt(pcie, "width"),
    widthMax: sizeAt(pcie, "width_max"),
  };
}

function readEcc(ecc: unknown): Ecc | null {
  if (ecc === null || ecc === undefined) return null;
  return {
    correctedVolatile: sizeAt(ecc, "corrected_volatile"),
    uncorrectedVolatile: sizeAt(ecc, "uncorrected_volatile"),
    correctedAggregate: sizeAt(ecc, "corrected_aggregate"),
    uncorrectedAggregate: sizeAt(ecc, "uncorrected_aggregate"),
  };
}

function readXid(item: unknown): Xid {
  return {
    xid: sizeAt(item, "xid"),
    count: sizeAt(item, "count"),
    lastAt: textAt(item, "last_at"),
    name: textAt(item, "name"),
    severity: textAt(item, "severity"),
  };
}

function readVerdict(item: unknown): Verdict {
  return {
    reason: textAt(item, "reason"),
    severity: textAt(item, "severity"),
    message: textAt(item, "message"),
    remedy: textAt(item, "remedy"),
  };
}

function readSlice(item: unknown): Slice {
  return {
    uuid: textAt(item, "uuid"),
    profile: textAt(item, "profile"),
    memoryUsed: bytesAt(item, MIB, "memory_used_mb"),
    memoryTotal: bytesAt(item, MIB, "memory_total_mb"),
  };
}

function place(item: unknown) {
  return {
    namespace: textAt(item, "namespace"),
    pod: textAt(item, "pod"),
    container: textAt(item, "container"),
    memoryUsed: bytesAt(item, MIB, "memory_used_mb"),
  };
}

function readHolder(item: unknown): Holder {
  return {
    ...place(item),
    device: textAt(item, "device"),
    how: textAt(item, "how"),
    processes: sizeAt(item, "processes"),
    idleSeconds: sizeAt(item, "idle_seconds"),
  };
}

function readProcess(item: unknown): Process {
  return {
    ...place(item),
    pid: sizeAt(item, "pid"),
    name: textAt(item, "name"),
    kind: textAt(item, "kind"),
  };
}

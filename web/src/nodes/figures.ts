/** What a row says in words, from a node as it is. */

import type { Row } from "../fleet/row";
import { nodesText as words } from "../text/nodes";
import { bytes, percent, UNKNOWN } from "../units";
import type { Column } from "./columns";

/** Bytes of GPU memory in use; null unless it is known of each GPU. */
export function vramUsed(row: Row): number | null {
  const ratio = vramRatio(row);
  const total = row.profile.vramBytes;
  return ratio === null || total === null || total === undefined ? null : ratio * total;
}

/** The part of the GPU memory that is in use, 0 to 1; null unless it is known of each GPU. */
export function vramRatio(row: Row): number | null {
  const gpus = row.pulse.gpu;
  if (!gpus || gpus.length === 0) return null;
  let sum = 0;
  for (const gpu of gpus) {
    const memory = gpu?.[1];
    if (typeof memory !== "number" || !Number.isFinite(memory)) return null;
    sum += memory;
  }
  return sum / gpus.length / 100;
}

/** `412 of 640 GiB`, both in the unit of the whole. */
export function vramText(row: Row): string {
  const total = row.profile.vramBytes ?? null;
  if (total !== null) return usedOf(vramUsed(row), total);
  const ratio = vramRatio(row);
  return ratio === null ? UNKNOWN : percent(ratio);
}

const figures = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** Say how much of a whole is in use; the unit is told once. */
export function usedOf(used: number | null, total: number): string {
  const whole = bytes(total);
  const [value, unit] = whole.split(" ");
  if (used === null || !unit || !value || total <= 0) return words.usedOf(bytes(used), whole);
  const power = UNITS.indexOf(unit);
  const size = 1024 ** Math.max(0, power);
  const shown = used / size;
  // Of hundreds no tenth is worth its room.
  return words.usedOf(figures.format(shown >= 100 ? Math.round(shown) : shown), whole);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** What GPUs a node has: `8 ×`, the model as it says it, `, +1 kind`. */
export interface Kinds {
  readonly lead: string;
  readonly model: string;
  readonly more: string;
  readonly title: string;
}

/** Several kinds are told by their first; null where none is told. */
export function kindsOf(row: Row): Kinds | null {
  const kinds = row.profile.gpus;
  const first = kinds?.[0];
  if (!kinds || !first) return null;
  const rest = kinds.length - 1;
  return {
    lead: words.gpuLead(first.count),
    model: shortGpu(first.model),
    more: rest ? `, ${words.gpuKinds(rest)}` : "",
    title: kinds.map((kind) => `${words.gpuLead(kind.count)} ${kind.model}`).join("\n"),
  };
}

/** Without the maker's name, which all rows share. */
export function shortGpu(model: string): string {
  return model.replace(/^(NVIDIA|AMD|Intel(\(R\))?)\s+/i, "").trim() || model;
}

/** A model's own name: what stands behind its maker's. */
export function shortModel(id: string): string {
  return id.slice(id.lastIndexOf("/") + 1) || id;
}

/** A node's name as it says, or its id. */
export function nameOf(row: Row): string {
  return row.profile.name || row.id;
}

/** Ratios of columns that are one. */
export function ratioOf(row: Row, column: Column): number | null {
  if (column === "vram") return vramRatio(row);
  const value =
    column === "cpu" || column === "memory" || column === "disk" ? row.pulse[column] : null;
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** In the tooltip of the memory: how much that is. */
export function memoryTitle(row: Row): string {
  const total = row.profile.memoryBytes ?? null;
  const ratio = ratioOf(row, "memory");
  if (total === null || ratio === null) return bytes(total);
  return usedOf(ratio * total, total);
}

/** What a node is and how it is, as far as it said so in a form that can be read. */

import type { Profile, Pulse } from "../api/types";
import { isObject, listOf, nonNegative, ratio, text, unsigned } from "./guards";

const GPUS_MAX = 64;
/** GPUs of one node. */

const MODELS_MAX = 256;
/** Models that one node serves. */

const NAME_MAX = 256;
/** Longest name of a GPU's or a served model, in characters. */

const HEALTHY_TO_FAILED = 2;
/** Marks are 0 healthy, 1 degraded, 2 failed. */

const TEXTS = ["address", "agent", "transport", "driver"] as const;
const SIZES = ["vramBytes", "memoryBytes"] as const;
const RATIOS = ["cpu", "memory", "disk"] as const;
const LOADS = ["power", "running", "waiting"] as const;

type Gpu = [number | null, number | null, number | null];

/** Read what a node is; a node without a name is called by its id. */
export function profileOf(value: unknown, id: string): Profile {
  const said = isObject(value) ? value : {};
  const profile: Profile = { name: text(said.name) || id };
  for (const key of TEXTS) put(profile, key, text(said[key], NAME_MAX));
  for (const key of SIZES) put(profile, key, nonNegative(said[key]));
  put(profile, "services", unsigned(said.services));
  put(profile, "gpus", listOf(said.gpus, GPUS_MAX)?.flatMap(gpuCount));
  put(profile, "models", listOf(said.models, MODELS_MAX)?.flatMap(modelName));
  return profile;
}

/** Read what moves; what is not there is unknown. */
export function pulseOf(value: unknown): Pulse {
  const said = isObject(value) ? value : {};
  const pulse: Pulse = {};
  for (const key of RATIOS) put(pulse, key, ratio(said[key]));
  for (const key of LOADS) put(pulse, key, nonNegative(said[key]));
  put(pulse, "gpu", listOf(said.gpu, GPUS_MAX)?.map(gpuPulse));
  return pulse;
}

function put<T, K extends keyof T>(into: T, key: K, value: T[K] | null | undefined): void {
  if (value !== null && value !== undefined) into[key] = value;
}

function modelName(value: unknown): string[] {
  const name = text(value, NAME_MAX);
  return name === null ? [] : [name];
}

function gpuCount(value: unknown): { model: string; count: number }[] {
  const count = isObject(value) ? unsigned(value.count) : null;
  if (!isObject(value) || count === null) return [];
  return [{ model: text(value.model, NAME_MAX) ?? "", count }];
}

/** A GPU of which nothing can be read keeps its place: cells are told apart by their index. */
function gpuPulse(value: unknown): Gpu {
  const [util, memory, mark] = Array.isArray(value) ? value : [];
  const known = unsigned(mark);
  return [
    percentOf(util),
    percentOf(memory),
    known !== null && known <= HEALTHY_TO_FAILED ? known : null,
  ];
}

function percentOf(value: unknown): number | null {
  const known = nonNegative(value);
  return known === null ? null : Math.min(100, known);
}

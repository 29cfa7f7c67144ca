/** What a node is and how it is, as far as it said so in a form that can be read. */

import type { Profile, Pulse } from "../api/types";
import { given, isObject, listOf, nonNegative, ratio, text, unsigned } from "./guards";

const GPUS_MAX = 64;
/** GPUs of one node. */

const MODELS_MAX = 256;
/** Models that one node serves. */

const NAME_MAX = 256;
/** Longest name of a GPU's or a served model, in characters. */

const HEALTHY_TO_FAILED = 2;
/** Marks are 0 healthy, 1 degraded, 2 failed. */

type Gpu = [number | null, number | null, number | null];

/** Read what a node is; a node without a name is called by its id. */
export function profileOf(value: unknown, id: string): Profile {
  const said = isObject(value) ? value : {};
  const gpus = listOf(said.gpus, GPUS_MAX);
  const models = listOf(said.models, MODELS_MAX);
  return {
    name: text(said.name) || id,
    ...given("address", text(said.address, NAME_MAX)),
    ...given("agent", text(said.agent, NAME_MAX)),
    ...given("gpus", gpus?.flatMap(gpuCount)),
    ...given("vramBytes", nonNegative(said.vramBytes)),
    ...given("memoryBytes", nonNegative(said.memoryBytes)),
    ...given(
      "models",
      models?.flatMap((model) => text(model, NAME_MAX) ?? []),
    ),
    ...given("services", unsigned(said.services)),
    ...given("transport", text(said.transport, NAME_MAX)),
    ...given("driver", text(said.driver, NAME_MAX)),
  };
}

/** Read what moves; what is not there is unknown. */
export function pulseOf(value: unknown): Pulse {
  const said = isObject(value) ? value : {};
  const gpus = listOf(said.gpu, GPUS_MAX);
  return {
    ...given("cpu", ratio(said.cpu)),
    ...given("memory", ratio(said.memory)),
    ...given("disk", ratio(said.disk)),
    ...given("power", nonNegative(said.power)),
    ...given("gpu", gpus?.map(gpuPulse)),
    ...given("running", nonNegative(said.running)),
    ...given("waiting", nonNegative(said.waiting)),
  };
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

/** Words of the Nodes tab. */

import { count } from "../units";

/** Words for rows that could be one or many. */
export function nodesOf(number: number): string {
  return number === 1 ? "1 node" : `${count(number)} nodes`;
}

export const nodesText = {
  heading: "Nodes",
  caption: "GPU nodes of the fleet",

  summary: "The fleet in figures",
  states: "Nodes by state",
  onlyState: (state: string, number: number, on: boolean) =>
    on ? `${state}: ${nodesOf(number)}, shown alone` : `${state}: ${nodesOf(number)}`,
  gpus: "GPUs",
  busy: "busy",
  idle: "idle",
  unknown: "unknown",
  vram: "VRAM",
  usedOf: (used: string, total: string) => `${used} of ${total}`,
  ofKnown: (total: string) => `${total} in all; shown is the part whose use is known`,
  power: "Power",
  models: "Models",
  served: "served",
  requests: "Requests",
  running: "running",
  waiting: "waiting",
  ingest: "Ingest",
  lagOf: (length: string) => `${length} behind`,
  stalled: "not counted now",
  lastEvent: "last event",
  util: (text: string) => `${text} used`,

  search: "Search nodes",
  searchHint: "Name, IP, GPU, model, label, state:stale, version:<1.2",
  searchKeys: "Press / to search",
  filters: "Filters",
  anyModel: "All models",
  anyGpu: "All GPUs",
  modelFilter: "Model served",
  gpuFilter: "GPU",
  option: (name: string, number: number) => `${name} (${count(number)})`,
  clear: "Clear filters",
  result: (shown: number, all: number) =>
    shown === all ? nodesOf(all) : `${count(shown)} of ${nodesOf(all)}`,

  view: "View",
  table: "Table",
  cards: "Cards",
  columns: "Columns",
  columnsHint: "What is hidden is in the details of each node.",
  noRoom: (names: string) => `No room for: ${names}`,
  allColumns: "Show all",

  legend: "Legend",

  column: {
    state: "State",
    name: "Name",
    gpus: "GPU model",
    strip: "GPUs",
    vram: "VRAM",
    cpu: "CPU",
    memory: "Memory",
    disk: "Disk",
    models: "Models",
    seen: "Last seen",
    agent: "Agent",
    trend: "Trend",
  },
  columnTitle: {
    state: "State of the node, and why",
    name: "Name and address",
    gpus: "How many GPUs of which model",
    strip: "Each GPU: height is VRAM, colour is utilization",
    vram: "GPU memory in use",
    cpu: "CPU in use",
    memory: "Main memory in use",
    disk: "Disk in use",
    models: "Models that are served, by healthy services",
    seen: "When the last heartbeat was",
    agent: "Version of the agent",
    trend: "GPU utilization and VRAM of the last 30 minutes",
  },

  copyId: (id: string) => `Copy the id ${id}`,
  copyAddress: (address: string) => `Copy the address ${address}`,
  gpuLead: (number: number) => `${count(number)} ×`,
  gpuKinds: (number: number) => (number === 1 ? "+1 kind" : `+${count(number)} kinds`),
  noGpu: (reason: string) => `no GPU: ${reason}`,
  noGpus: "no GPUs reported",
  noGpusWhy: "The node's details say why",
  none: "none",
  modelTitle: (id: string) =>
    `${id}\nServed by a healthy service; its engine stands in the node's details. Pick to see all nodes that serve it.`,
  moreModels: (number: number) => `+${count(number)}`,
  moreModelsOf: (number: number, name: string) => `${count(number)} more models of ${name}`,
  modelsOf: (name: string) => `Models of ${name}`,
  services: (number: number) => (number === 1 ? "1 service" : `${count(number)} services`),
  lastKnown: "last known",
  gpuTitle: (index: number, util: string, memory: string, health: string) =>
    `GPU ${index}: utilization ${util}, VRAM ${memory}, ${health}`,
  health: ["healthy", "degraded", "failed"] as const,
  faults: (number: number) => (number === 1 ? "1 with a fault" : `${count(number)} with faults`),
  stripLabel: (text: string, faults: string) =>
    faults ? `GPUs: ${text}; ${faults}` : `GPUs: ${text}`,
  moreGpus: (number: number) => `+${count(number)}`,
  trendLabel: (util: string, vram: string) => `Last 30 minutes: utilization ${util}; VRAM ${vram}`,
  trendPart: (low: string, high: string, last: string) => `${low} to ${high}, now ${last}`,
  trendUnknown: "not known",
  trendWait: "Trend is being asked for",

  reorder: (number: number) => `Reorder (${count(number)} changed)`,
  reorderTitle: "Rows stay where they are while figures change",
  reordered: "Rows are in order again",

  connecting: "Waiting for the list of nodes",
  lost: "The list of nodes did not come",
  lostHint: "The page goes on trying.",
  retry: "Try now",
};

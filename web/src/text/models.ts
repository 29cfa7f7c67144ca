/** Words of the Models tab. */

const counted = (count: number, one: string, many: string) =>
  `${count} ${count === 1 ? one : many}`;

export const models = {
  title: "Models",
  caption: "Models, the nodes that serve them, and how well",
  search: "Search models, engines, nodes",
  count: (shown: number, all: number) =>
    shown === all
      ? counted(all, "model", "models")
      : `${shown} of ${counted(all, "model", "models")}`,
  column: {
    model: "Model",
    health: "Health",
    nodes: "Nodes",
    replicas: "Replicas",
    engines: "Engines",
    running: "Running",
    waiting: "Waiting",
  },
  runningTitle: "Requests that run on its nodes, those of their other models among them",
  waitingTitle: "Requests that wait on its nodes, those of their other models among them",
  replicas: (healthy: number, replicas: number) => `${healthy} of ${replicas} healthy`,
  allHealthy: "healthy",
  noneHealthy: "none healthy",
  notServed: "not served now",
  unknown: "unknown",
  silent: (count: number) => `+${count} silent`,
  silentTitle: "Nodes that had it and are not heard of now",
  showNodes: (model: string) => `Nodes of ${model}`,
  lastHere: "had it when last heard of",
  requests: (running: string, waiting: string) => `${running} running, ${waiting} waiting`,
  more: (count: number) => `Show ${count} more`,
  emptyTitle: "No node serves a model",
  empty:
    "Models appear here as soon as an engine on a node answers. Agents look for vLLM, Ollama and others on their ports; services that they do not find by themselves are named in the agent's configuration (services).",
  noMatchTitle: "No model matches",
  clear: "Clear the search",
  failed: (why: string) => `The models cannot be had: ${why}.`,
  failedOld: (why: string) => `The models cannot be refreshed: ${why}. What is shown may be old.`,
  again: "Try again",
} as const;

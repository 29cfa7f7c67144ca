/** Words of the Events tab. */

const counted = (count: number, one: string, many: string) =>
  `${count} ${count === 1 ? one : many}`;

export const events = {
  openTitle: "Wrong now",
  openNone: "Nothing is wrong now",
  openNoneText: (nodes: number) =>
    `None of ${counted(nodes, "node", "nodes")} is Offline, Degraded or Stale.`,
  openNoNodes: "No node is known yet, so nothing can be wrong with one.",
  openCount: (count: number) => counted(count, "node", "nodes"),
  openCaption: "Nodes that are Offline, Degraded or Stale now, and since when",
  openColumn: { node: "Node", state: "State", message: "What is known", since: "Since" },
  noMessage: "no more is known",
  sinceUnknown: "unknown",
  showAll: (count: number) => `Show all ${count}`,

  title: "What happened",
  filters: "Filter the events",
  kind: "Kind",
  kinds: { state: "State", fault: "Fault", xid: "XID", config: "Config", node: "Node" },
  node: "Node",
  nodeHint: "a node's id",
  nodeWrong: "An id has letters, digits, dots, dashes and underscores, 64 at most.",
  reason: "Reason",
  reasonHint: "such as HeartbeatLate",
  since: "Since",
  sinces: { "": "any time", "1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days" },
  clear: "Clear the filters",
  fresh: (count: number) => counted(count, "new event", "new events"),
  older: "Show older ones",
  oldest: "That is all that is kept.",
  times: (count: number) => `${count} times`,
  today: "Today",
  yesterday: "Yesterday",
  undated: "At a time that nobody knows",
  at: (hour: string) => `at ${hour}`,
  failed: (why: string) => `Events cannot be had: ${why}.`,
  again: "Try again",
  noneTitle: "Nothing has happened yet",
  none: "Changes of state, faults, XID errors and configurations are listed here as they happen.",
  noMatchTitle: "No event matches",
  noMatch: "There may be older ones outside the time that is asked for.",
} as const;

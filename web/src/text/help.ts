/** Words of the help. */

export const help = {
  helpTitle: "Help",
  keysTitle: "Shortcuts",
  keys: [
    ["/", "search"],
    ["j / k", "next, previous node"],
    ["Enter", "open the node"],
    ["Esc", "close"],
    ["r", "ask the node itself, in its drawer"],
    ["1 – 4", "nodes, models, events, access"],
    ["p", "pause, go on"],
    ["?", "this help"],
  ],
  statesTitle: "States",
  aboutTitle: "How sure the page is",
  ages: "Ages are counted by the server's clock. What is older than a heartbeat's interval is dimmed; what a silent node said last is marked as last known and counts in no sum.",
  skew: (length: string, ahead: boolean) =>
    `Your browser's clock is ${length} ${ahead ? "ahead of" : "behind"} the server's; that does not matter here.`,
  timing: (interval: number, stale: number, timeout: number) =>
    `Nodes speak every ${interval} s; they are Stale after ${stale} s of silence and Offline after ${timeout} s.`,
  version: (version: string) => `Control plane ${version}.`,
} as const;

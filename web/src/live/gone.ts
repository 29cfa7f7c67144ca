/** Nodes that were given up: in no list and no stream unless somebody looks for them. */

import { effect, untracked } from "@preact/signals";
import { ask } from "../api/http";
import { query } from "../fleet/query";
import { session } from "../fleet/session";
import { apply, type Change, nodeSignal, onShape } from "../fleet/store";
import { link } from "./link";
import { readRows } from "./messages";

const PATH = "/api/fabric/nodes?state=Decommissioned&limit=1000";

/** Ask for them while they are looked for; gives what ends it. */
export function followGone(): () => void {
  let asking = false;
  const look = async () => {
    if (asking) return;
    asking = true;
    await askForGone().catch(() => undefined);
    asking = false;
  };
  const connected = () => link.value.kind === "live" || link.value.kind === "polling";
  const endSearch = effect(() => {
    if (query.value.withGone && connected()) untracked(() => void look());
  });
  // A snapshot has none of them.
  const endShape = onShape((ids) => {
    if (ids === null && query.peek().withGone) void look();
  });
  return () => {
    endSearch();
    endShape();
  };
}

async function askForGone(): Promise<void> {
  const answer = await ask<unknown>(PATH);
  // An answer may come late: to nobody, or after the stream told of a node that came back.
  if (!session.peek()) return;
  const rows = (readRows(answer.value) ?? []).filter(
    ({ id }) => (nodeSignal(id)?.peek().state ?? "Decommissioned") === "Decommissioned",
  );
  apply(
    rows.map(({ id, state, reason, since, lastHeartbeat, profile, pulse }): Change => {
      const said = { reason: reason ?? null, since: since ?? null, seen: lastHeartbeat ?? null };
      return { kind: "node", delta: { id, state, ...said, profile, pulse } };
    }),
  );
}

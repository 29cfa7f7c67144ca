/** The drawer of one node: who it is, how it does, what it says when it is asked. */

import { DEADLINE_SECONDS } from "../api/http";
import "./drawer.css";
import { visible } from "../fleet/order";
import { setCurrent } from "../nodes/focus";
import { Dialog, Notice, Said, Spinner, StateBadge } from "../parts";
import { useKeys } from "../shell/keys";
import { drawer as words } from "../text/drawer";
import { go, place } from "../url";
import { Facts } from "./facts";
import { Failure } from "./failure";
import { LiveBar } from "./livebar";
import { type OpenNode, useNode } from "./node";
import { Parts } from "./parts";
import { Standing } from "./standing";

const TITLE_MAX = 64;
/** The node named, or the one that the address names. */
export default function NodeDrawer({ id = place.value.node }: { id?: string }) {
  return <Drawer key={id} id={id} />;
}

function close(): void {
  go({ node: "", part: "", range: "" });
}

function Drawer({ id }: { id: string }) {
  const node = useNode(id);
  useKeys({ r: () => node.query(), j: () => step(id, 1), k: () => step(id, -1) }, "dialog");
  const row = node.row.value;
  return (
    <Dialog
      side
      testid="drawer"
      node={id}
      onClose={close}
      title={<Said text={row?.profile.name || id} max={TITLE_MAX} />}
      head={row ? <StateBadge state={row.state} /> : null}
    >
      <div class="drawer">
        <Inside node={node} />
      </div>
    </Dialog>
  );
}

/** Go to the next node, or the one before, as the list shows them. */
function step(id: string, by: 1 | -1): void {
  const ids = visible.peek();
  const next = ids[ids.indexOf(id) + by];
  if (!ids.includes(id) || next === undefined) return;
  // Kept drawn however long the list is: closed, the drawer gives the focus to this row.
  setCurrent(next);
  go({ node: next }, "replace");
}

function Inside({ node }: { node: OpenNode }) {
  const { value, error, since } = node.detail.state.value;
  const gone = error?.status === 404;
  if (gone) return <Gone id={node.id} />;
  return (
    <>
      <Standing node={node} />
      {value === null && since !== null ? (
        <p class="drawer-wait">
          {words.loading} <Spinner since={since} deadlineSeconds={DEADLINE_SECONDS} />
        </p>
      ) : null}
      {error ? (
        <Failure title={words.cannotRead} error={error} kept={value !== null} again={node.detail} />
      ) : null}
      <Facts node={node} />
      <LiveBar node={node} />
      <Parts node={node} />
    </>
  );
}

function Gone({ id }: { id: string }) {
  return (
    <Notice
      tone="dim"
      title={<Said text={words.gone(id)} max={160} />}
      testid="node-gone"
      actions={
        <button type="button" class="button" onClick={close}>
          {words.close}
        </button>
      }
    >
      <p>{words.goneWhy}</p>
    </Notice>
  );
}

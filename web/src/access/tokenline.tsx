/** One token in the list. */

import type { TokenView } from "../api/types";
import { now } from "../fleet/clock";
import { session } from "../fleet/session";
import { Age, NodeLink, Said } from "../parts";
import { access } from "../text/access";
import { dateOf, moment, span } from "../units";
import { endMs, stateOf } from "./tokenstate";

const text = access.tokens;
const NAME_MAX = 64;
/** Characters of a name. */

interface Props {
  token: TokenView;
  onRotate: (token: TokenView) => void;
  onRevoke: (token: TokenView) => void;
}

export function TokenLine({ token, onRotate, onRevoke }: Props) {
  const { column } = text;
  const state = stateOf(token, now.value);
  const works = state === "active" || state === "rotated";
  return (
    <tr data-testid="token-row" data-token={token.tokenId} data-state={state}>
      <th scope="row" title={token.tokenId}>
        <Said text={token.name} max={NAME_MAX} />
      </th>
      <td data-name={column.node}>
        {token.nodeId ? <NodeLink id={token.nodeId} /> : <span class="soft">{text.anyNode}</span>}
      </td>
      <td data-name={column.scopes} class="access-may" title={token.scopes.join("\n")}>
        <Said text={scopesText(token.scopes)} max={120} />
      </td>
      <td data-name={column.created}>
        <Stamp stamp={token.createdAt} />{" "}
        <span class="soft">
          <Said text={makerText(token.createdBy)} max={28} />
        </span>
      </td>
      <td data-name={column.used}>
        <Stamp stamp={token.usedAt} />
      </td>
      <td data-name={column.state}>
        <Standing token={token} />
      </td>
      <td class="access-acts">
        {state === "active" ? (
          <Act label={text.rotate} of={text.rotateOf(token.name)} act={() => onRotate(token)} />
        ) : null}
        {works ? (
          <Act
            label={text.revoke}
            of={text.revokeOf(token.name)}
            act={() => onRevoke(token)}
            grave
          />
        ) : null}
      </td>
    </tr>
  );
}

interface ActProps {
  label: string;
  of: string;
  act: () => void;
  grave?: boolean;
}

function Act({ label, of, act, grave = false }: ActProps) {
  return (
    <button
      type="button"
      class={grave ? "button button-grave" : "button"}
      aria-label={of.slice(0, 100)}
      onClick={act}
    >
      {label}
    </button>
  );
}

/** The API names people by their number; one's own is known. */
function makerText(subject: string): string {
  return text.by(subject === session.value?.subject ? text.you : subject);
}

function scopesText(scopes: readonly string[]): string {
  const names = text.scopeNames;
  return scopes.map((one) => (Object.hasOwn(names, one) ? names[one] : one)).join(", ");
}

function Stamp({ stamp }: { stamp: string | null | undefined }) {
  return <Age ms={dateOf(stamp)} />;
}

/** Whether it holds, and if it ends, when. */
function Standing({ token }: { token: TokenView }) {
  const at = now.value;
  const state = stateOf(token, at);
  const end = endMs(token);
  const ends = end !== null && at > 0 && end > at ? text.expires(span((end - at) / 1000)) : null;
  return (
    <span class="access-state" data-state={state} title={end === null ? undefined : moment(end)}>
      {text[state]}
      {ends ? <span class="soft"> {ends}</span> : null}
    </span>
  );
}

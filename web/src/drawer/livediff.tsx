/** What a live answer says otherwise than the last heartbeat. */

import { cut, Notice, Said } from "../parts";
import { live as words } from "../text/drawer";
import type { Difference } from "./diff";
import type { OpenNode } from "./node";

const SHOWN = 40;
const PATH_MAX = 120;
const VALUE_MAX = 80;

export function LiveDiff({ node }: { node: OpenNode }) {
  const heard = node.live.last.value;
  if (heard === null) return <Notice tone="dim" title={words.noAnswer} />;
  if (heard.changes === null) return <Notice tone="dim" title={words.noCached} />;
  if (heard.changes.length === 0) return <Notice tone="good" title={words.same} />;
  return <DiffTable changes={heard.changes} />;
}

function DiffTable({ changes }: { changes: readonly Difference[] }) {
  const left = changes.length - SHOWN;
  return (
    <div class="live-diff" data-testid="live-diff">
      <table class="live-table">
        <caption class="unseen">{words.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{words.figure}</th>
            <th scope="col" class="live-value">
              {words.cached}
            </th>
            <th scope="col" class="live-value">
              {words.live}
            </th>
          </tr>
        </thead>
        <tbody>
          {changes.slice(0, SHOWN).map((change) => (
            <tr key={change.key} title={cut(change.key, PATH_MAX)}>
              <th scope="row">
                <Said text={change.path} max={PATH_MAX} />
              </th>
              <Value text={change.cached} />
              <Value text={change.live} />
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 ? <p>{words.more(left)}</p> : null}
      <p class="live-soft">{words.left}</p>
    </div>
  );
}

function Value({ text }: { text: string | null }) {
  if (text === null) return <td class="live-value live-soft">{words.notTold}</td>;
  return (
    <td class="live-value">
      <Said text={text} max={VALUE_MAX} />
    </td>
  );
}

/** What stands there where no node does, and what can be done. */

import "./empty.css";
import { totals } from "../fleet/totals";
import { Copy, Notice } from "../parts";
import { emptyText as words } from "../text/empty";
import { nodesText } from "../text/nodes";
import { clearFilters } from "./filters";

/** Either there are no nodes at all, or none that is looked for. */
export default function Empty({ what }: { what: "noNodes" | "noMatch" }) {
  return what === "noNodes" ? <NoNodes /> : <NoMatch />;
}

function NoNodes() {
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

function NoMatch() {
  return (
    <div class="empty-middle">
      <Notice
        tone="dim"
        title={words.noMatch}
        testid="empty-no-match"
        actions={
          <button type="button" class="button button-main" onClick={clearFilters}>
            {nodesText.clear}
          </button>
        }
      >
        <p>{words.noMatchHint(totals.value.nodes)}</p>
      </Notice>
    </div>
  );
}

/** Giving a node up: typed out, so that it does not happen by a slip. */

import { useState } from "preact/hooks";
import { type ApiError, ask } from "../api/http";
import { announce, Notice, Said, Spinner } from "../parts";
import { parting as words } from "../text/drawer";
import { go } from "../url";
import { nodePath } from "./detail";
import { apiError } from "./loader";
import type { OpenNode } from "./node";

export function Parting({ node }: { node: OpenNode }) {
  // A name of blanks would be typed by typing nothing.
  const name = plain(node.row.value?.profile.name ?? "") || node.id;
  const [typed, setTyped] = useState("");
  const [since, setSince] = useState<number | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const sure = plain(typed) === name;
  const act = async (event: Event) => {
    event.preventDefault();
    if (!sure || since !== null) return;
    setSince(performance.now());
    setError(null);
    try {
      await ask(nodePath(node.id), { method: "DELETE" });
      announce(words.done(name));
      go({ node: "", part: "" }, "replace");
    } catch (thrown) {
      setError(apiError(thrown));
      setSince(null);
    }
  };
  return (
    <form class="parting" onSubmit={act}>
      <h4 class="parting-title">{words.title}</h4>
      <p class="parting-soft">{words.why}</p>
      <label class="parting-label">
        <Said text={words.confirm(name)} max={160} />
        <input
          class="field"
          data-testid="parting-name"
          autocomplete="off"
          spellcheck={false}
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </label>
      {error ? (
        <Notice tone="bad" role="alert" title={words.failed}>
          <p>
            <Said text={error.message} max={300} />
          </p>
        </Notice>
      ) : null}
      <div class="config-actions">
        <button
          type="submit"
          class="button button-grave"
          data-testid="parting-act"
          disabled={!sure || since !== null}
        >
          {words.act}
        </button>
        {since === null ? null : <Spinner since={since} />}
      </div>
    </form>
  );
}

/** A name as it can be read and typed: blanks in a row are one on the screen. */
function plain(text: string): string {
  return text.replace(/[\s\p{C}]+/gu, " ").trim();
}

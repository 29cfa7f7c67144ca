/** Editors ask for another configuration here. */

import { useState } from "preact/hooks";
import type { ApiError } from "../api/http";
import { announce, Notice, Said, Spinner } from "../parts";
import { config as words } from "../text/drawer";
import { type Configured, configText, parseConfig, writeConfig } from "./configuring";
import { apiError, type Loader } from "./loader";
import { Pre } from "./pre";

export interface EditorProps {
  id: string;
  asked: Configured;
  loader: Loader<Configured>;
}

/** What was typed, and the version that was there to be seen then. */
interface Draft {
  readonly text: string;
  readonly etag: string;
}

export function Editor({ id, asked, loader }: EditorProps) {
  const [draft, setDraft] = useState<Draft | null>(null);
  const [since, setSince] = useState<number | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const told = configText(asked);
  const text = draft?.text ?? told;
  const parsed = parseConfig(text);
  const save = async (event: Event) => {
    event.preventDefault();
    if (!parsed.ok || since !== null) return;
    setSince(performance.now());
    setError(null);
    try {
      await writeConfig(id, parsed.value, asked.etag);
      announce(words.saved);
      await loader.load();
      if (loader.state.peek().error === null) setDraft(null);
    } catch (thrown) {
      setError(apiError(thrown));
    }
    setSince(null);
  };
  const reread = async () => {
    await loader.load();
    if (loader.state.peek().error === null) setError(null);
  };
  return (
    <form class="config-editor" onSubmit={save}>
      {draft !== null && draft.etag !== asked.etag ? <Theirs text={told} /> : null}
      <label for="config-text">{words.json}</label>
      <textarea
        id="config-text"
        class="field config-text"
        data-testid="config-text"
        rows={10}
        spellcheck={false}
        value={text}
        aria-invalid={!parsed.ok}
        aria-describedby="config-problem"
        onInput={(event) =>
          setDraft({ text: event.currentTarget.value, etag: draft?.etag ?? asked.etag })
        }
      />
      <p id="config-problem" class="config-wrong">
        {parsed.ok ? null : <Said text={words.invalid(parsed.why ?? words.notObject)} max={240} />}
      </p>
      {error ? <Refused error={error} reread={reread} /> : null}
      <div class="config-actions">
        <button
          type="submit"
          class="button"
          data-testid="config-save"
          disabled={!parsed.ok || since !== null}
        >
          {words.save}
        </button>
        {since === null ? null : <Spinner since={since} />}
      </div>
    </form>
  );
}

/** What somebody else asked for meanwhile stands above what was typed: neither is lost. */
function Theirs({ text }: { text: string }) {
  return (
    <>
      <p>{words.theirs}</p>
      <Pre text={text} label={words.theirs} testid="config-theirs" />
    </>
  );
}

function Refused({ error, reread }: { error: ApiError; reread: () => Promise<void> }) {
  const conflict = error.status === 412;
  return (
    <Notice
      tone="bad"
      role="alert"
      title={words.saveFailed}
      actions={
        conflict ? (
          <button type="button" class="button" onClick={() => void reread()}>
            {words.reread}
          </button>
        ) : null
      }
    >
      <p>
        <Said text={conflict ? words.conflict : error.message} max={400} />
      </p>
    </Notice>
  );
}

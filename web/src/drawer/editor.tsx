/** Editors ask for another configuration here. */

import { useState } from "preact/hooks";
import type { ApiError } from "../api/http";
import { announce, Notice, Said, Spinner } from "../parts";
import { config as words } from "../text/drawer";
import { type Configured, parseConfig, writeConfig } from "./configuring";
import { apiError, type Loader } from "./loader";

export interface EditorProps {
  id: string;
  asked: Configured;
  loader: Loader<Configured>;
}

export function Editor({ id, asked, loader }: EditorProps) {
  const [text, setText] = useState(() => JSON.stringify(asked.view.config ?? {}, null, 2));
  const [since, setSince] = useState<number | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
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
    } catch (thrown) {
      setError(apiError(thrown));
    }
    setSince(null);
  };
  return (
    <form class="config-editor" onSubmit={save}>
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
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <p id="config-problem" class="config-wrong">
        {parsed.ok ? null : <Said text={words.invalid(parsed.why ?? words.notObject)} max={240} />}
      </p>
      {error ? <Refused error={error} loader={loader} /> : null}
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

function Refused({ error, loader }: { error: ApiError; loader: Loader<Configured> }) {
  const conflict = error.status === 412;
  return (
    <Notice
      tone="bad"
      role="alert"
      title={words.saveFailed}
      actions={
        conflict ? (
          <button type="button" class="button" onClick={() => void loader.load()}>
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

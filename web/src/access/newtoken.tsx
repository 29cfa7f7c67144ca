/** Makes a device token: for whom, what it may, until when. */

import { useState } from "preact/hooks";
import type { TokenMade } from "../api/types";
import { access } from "../text/access";
import { soundNode } from "./code";
import { Field } from "./field";
import { makeToken, type Wanted } from "./tokendata";
import { numberOf } from "./tokenstate";

const text = access.tokens;
const DAYS_MAX = 3650;
/** As the API has it. */

const DAYS_LEAST = 0.01;
/** A quarter of an hour; 0 would be no token at all. */

const SCOPES = Object.keys(text.scopeNames);
const USUAL: readonly string[] = SCOPES.filter((scope) => scope !== "device_authkey:write");
/** As the API gives them unless told otherwise. */

export function NewToken({ onMade }: { onMade: (made: TokenMade) => void }) {
  const [name, setName] = useState("");
  const [node, setNode] = useState("");
  const [days, setDays] = useState("");
  const [scopes, setScopes] = useState(USUAL);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const life = numberOf(days, DAYS_LEAST, DAYS_MAX);
  const nodeWrong = node !== "" && !soundNode(node);
  const ready = name.trim() !== "" && life !== null && !nodeWrong && scopes.length > 0;
  const send = async (event: Event) => {
    event.preventDefault();
    if (!ready || busy) return;
    setBusy(true);
    setError("");
    const wanted: Wanted = { name: name.trim(), scopes };
    if (node) wanted.nodeId = node;
    if (life) wanted.days = life;
    try {
      onMade(await makeToken(wanted));
      setName("");
      setNode("");
    } catch (reason) {
      setError((reason as Error).message);
    }
    setBusy(false);
  };
  return (
    <form class="access-new" aria-label={text.newTitle} onSubmit={send}>
      <div class="access-row">
        <Field
          label={text.name}
          value={name}
          onInput={setName}
          hint={text.nameHint}
          testid="token-name"
        />
        <Field
          label={text.node}
          value={node}
          onInput={(value) => setNode(value.trim())}
          hint={text.nodeHint}
          error={nodeWrong ? access.enrol.nodeWrong : ""}
          testid="token-node"
          maxLength={64}
        />
        <Field
          label={text.days}
          value={days}
          onInput={setDays}
          hint={text.daysHint}
          error={life === null ? text.daysWrong : ""}
          testid="token-days"
          maxLength={8}
          numeric
        />
      </div>
      <Scopes chosen={scopes} onChange={setScopes} />
      {error ? (
        <p class="access-error" role="alert">
          {error}
        </p>
      ) : null}
      <div class="access-actions">
        <button
          type="submit"
          class="button button-main"
          data-testid="token-create"
          disabled={!ready || busy}
        >
          {text.create}
        </button>
      </div>
    </form>
  );
}

interface ScopesProps {
  chosen: readonly string[];
  onChange: (scopes: readonly string[]) => void;
}

function Scopes({ chosen, onChange }: ScopesProps) {
  const turn = (scope: string) =>
    onChange(chosen.includes(scope) ? chosen.filter((one) => one !== scope) : [...chosen, scope]);
  return (
    <fieldset class="access-scopes">
      <legend>{text.scopes}</legend>
      {SCOPES.map((scope) => (
        <label key={scope} class="access-scope" title={scope}>
          <input type="checkbox" checked={chosen.includes(scope)} onChange={() => turn(scope)} />
          {text.scopeNames[scope]}
        </label>
      ))}
    </fieldset>
  );
}

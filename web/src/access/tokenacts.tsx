/** Asks before a token is replaced or ended. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { TokenMade, TokenView } from "../api/types";
import { Age, announce, cut, Dialog } from "../parts";
import { access } from "../text/access";
import { dateOf } from "../units";
import { Field } from "./field";
import { revokeToken, rotateToken } from "./tokendata";
import { numberOf } from "./tokenstate";

const text = access.tokens;
const GRACE_HOURS = "24";
/** As the API has it unless told otherwise. */

const GRACE_MAX = 720;
const NAME_MAX = 48;
/** Characters of a name in a heading. */

interface Props {
  token: TokenView;
  onClose: () => void;
}

/** Replace a token. */
export function Rotate({ token, onClose, onMade }: Props & { onMade: (made: TokenMade) => void }) {
  const [grace, setGrace] = useState(GRACE_HOURS);
  const hours = numberOf(grace, 0, GRACE_MAX);
  const act = async () => {
    onMade(await rotateToken(token.tokenId, hours ?? Number(GRACE_HOURS)));
    onClose();
  };
  return (
    <Confirm
      title={text.rotateTitle(cut(token.name, NAME_MAX))}
      word={text.rotate}
      testid="token-rotate"
      able={typeof hours === "number"}
      act={act}
      onClose={onClose}
    >
      <p>{text.rotateText}</p>
      <Field
        label={text.grace}
        value={grace}
        onInput={setGrace}
        hint={text.graceHint}
        error={typeof hours === "number" ? "" : text.graceWrong}
        maxLength={6}
        numeric
      />
    </Confirm>
  );
}

/** End a token. */
export function Revoke({ token, onClose, onDone }: Props & { onDone: () => void }) {
  const used = dateOf(token.usedAt);
  const act = async () => {
    await revokeToken(token.tokenId);
    announce(text.revokedDone(cut(token.name, NAME_MAX)));
    onDone();
    onClose();
  };
  return (
    <Confirm
      title={text.revokeTitle(cut(token.name, NAME_MAX))}
      word={text.revoke}
      testid="token-revoke"
      grave
      able
      act={act}
      onClose={onClose}
    >
      <p>{text.revokeText}</p>
      <p>
        {text.usedLast}: <Age ms={used} />
      </p>
    </Confirm>
  );
}

interface ConfirmProps {
  title: string;
  word: string;
  testid: string;
  able: boolean;
  grave?: boolean;
  act: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

function Confirm(props: ConfirmProps) {
  const { title, word, testid, able, grave = false, act, onClose, children } = props;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const go = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await act();
    } catch (reason) {
      setError((reason as Error).message);
      setBusy(false);
    }
  };
  return (
    <Dialog title={<bdi class="said">{title}</bdi>} onClose={onClose} testid={testid}>
      <form class="access-confirm" onSubmit={go}>
        {children}
        {error ? (
          <p class="access-error" role="alert">
            {error}
          </p>
        ) : null}
        <div class="access-actions">
          <button
            type="submit"
            class={grave ? "button access-final" : "button button-main"}
            data-testid={`${testid}-confirm`}
            disabled={busy || !able}
          >
            {word}
          </button>
          <button type="button" class="button" onClick={onClose}>
            {access.cancel}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

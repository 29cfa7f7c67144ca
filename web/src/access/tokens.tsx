/** The org's device tokens: who reports, by what right, and since when unused. */

import { effect, signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { DEADLINE_SECONDS } from "../api/http";
import type { TokenMade, TokenView } from "../api/types";
import { now } from "../fleet/clock";
import { session } from "../fleet/session";
import { Notice, Spinner } from "../parts";
import { access } from "../text/access";
import { NewToken } from "./newtoken";
import { Secret } from "./secret";
import { Revoke, Rotate } from "./tokenacts";
import { type TokenBook, useTokens } from "./tokendata";
import { TokenLine } from "./tokenline";
import { stateOf } from "./tokenstate";

const text = access.tokens;
type Asked = { what: "rotate" | "revoke"; token: TokenView } | null;

/** Secrets that nobody has said are kept: another token, or another tab, does not lose them. */
const unkept = signal<readonly TokenMade[]>([]);

effect(() => {
  if (session.value === null) unkept.value = [];
});

export function Tokens() {
  const book = useTokens();
  const [asked, setAsked] = useState<Asked>(null);
  const onMade = (token: TokenMade) => {
    unkept.value = [token, ...unkept.peek()];
    void book.reload();
  };
  const close = () => setAsked(null);
  return (
    <>
      <NewToken onMade={onMade} />
      {unkept.value.map((made) => (
        <Secret key={made.tokenId} made={made} onStored={() => keep(made)} />
      ))}
      <Listing book={book} onAsk={setAsked} />
      {asked?.what === "rotate" ? (
        <Rotate token={asked.token} onClose={close} onMade={onMade} />
      ) : null}
      {asked?.what === "revoke" ? (
        <Revoke token={asked.token} onClose={close} onDone={() => void book.reload()} />
      ) : null}
    </>
  );
}

function keep(made: TokenMade): void {
  unkept.value = unkept.peek().filter((other) => other !== made);
}

interface ListingProps {
  book: TokenBook;
  onAsk: (asked: Asked) => void;
}

function Listing({ book, onAsk }: ListingProps) {
  const [old, setOld] = useState(false);
  const { list, error, since } = book;
  if (error) return <Failure book={book} why={error} />;
  if (!list) return <Spinner since={since} deadlineSeconds={DEADLINE_SECONDS} />;
  if (list.length === 0) {
    return (
      <Notice tone="calm" title={text.none} testid="empty-no-tokens">
        <p>{text.noneText}</p>
      </Notice>
    );
  }
  const ended = list.filter((token) => isOver(token));
  const shown = old ? list : list.filter((token) => !isOver(token));
  return (
    <>
      <Table tokens={shown} onAsk={onAsk} />
      <div class="access-actions">
        {ended.length > 0 ? (
          <button type="button" class="button" aria-pressed={old} onClick={() => setOld(!old)}>
            {old ? text.hideOld : text.showOld(ended.length)}
          </button>
        ) : null}
        {book.next ? (
          <button type="button" class="button" onClick={() => void book.more()}>
            {text.more}
          </button>
        ) : null}
      </div>
    </>
  );
}

function isOver(token: TokenView): boolean {
  return ["expired", "revoked"].includes(stateOf(token, now.value));
}

function Failure({ book, why }: { book: TokenBook; why: string }) {
  return (
    <Notice
      tone="bad"
      role="alert"
      title={text.failed(why)}
      actions={
        <button type="button" class="button" onClick={() => void book.reload()}>
          {access.again}
        </button>
      }
    />
  );
}

interface TableProps {
  tokens: readonly TokenView[];
  onAsk: (asked: Asked) => void;
}

function Table({ tokens, onAsk }: TableProps) {
  const { column } = text;
  if (tokens.length === 0) return <p class="section-hint">{text.noneActive}</p>;
  return (
    <div class="table-frame">
      <table class="table" data-testid="token-table">
        <caption class="unseen">{text.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{column.name}</th>
            <th scope="col">{column.node}</th>
            <th scope="col">{column.scopes}</th>
            <th scope="col">{column.created}</th>
            <th scope="col">{column.used}</th>
            <th scope="col">{column.state}</th>
            <th scope="col">
              <span class="unseen">{column.acts}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token) => (
            <TokenLine
              key={token.tokenId}
              token={token}
              onRotate={(one) => onAsk({ what: "rotate", token: one })}
              onRevoke={(one) => onAsk({ what: "revoke", token: one })}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

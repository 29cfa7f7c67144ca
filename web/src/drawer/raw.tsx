/** What the node said, as it travelled; and commands that show the same elsewhere. */

import "./raw.css";
import { useMemo, useState } from "preact/hooks";
import { Copy, Icon, Notice } from "../parts";
import { raw as words } from "../text/drawer";
import { bytes } from "../units";
import { curlCommand, fileName, kubectlCommand } from "./commands";
import type { OpenNode } from "./node";
import { Pre } from "./pre";

const SHOWN_MAX = 200_000;
/** Characters laid out; a megabyte of text in one element makes a phone stutter. */

const FREE_MS = 10_000;
/** The browser has begun to store a download long before that. */

type Which = "heartbeat" | "live";

export function Raw({ node }: { node: OpenNode }) {
  const detail = node.detail.state.value.value;
  const heartbeat = detail?.message ?? detail?.raw ?? null;
  const live = node.live.last.value?.message ?? null;
  const [asked, choose] = useState<Which>("heartbeat");
  const which = asked === "live" && live === null ? "heartbeat" : asked;
  const value = which === "live" ? live : heartbeat;
  const text = useMemo(() => (value === null ? null : JSON.stringify(value, null, 2)), [value]);
  return (
    <div class="raw">
      <div class="raw-actions">
        <Copy wide text={kubectlCommand(node.id)} label={words.kubectl} />
        <Copy wide text={curlCommand(node.id, location.origin)} label={words.curl} />
        {text === null ? null : <Copy wide text={text} label={words.copy} />}
        {text === null ? null : <Download text={text} name={fileName(node.id)} />}
      </div>
      {live === null ? null : <Choice which={which} choose={choose} />}
      {text === null ? <Notice tone="dim" title={words.nothing} /> : <Text text={text} />}
    </div>
  );
}

function Choice({ which, choose }: { which: Which; choose: (which: Which) => void }) {
  return (
    <fieldset class="choice">
      <legend class="unseen">{words.which}</legend>
      {(["heartbeat", "live"] as const).map((one) => (
        <label key={one}>
          <input
            type="radio"
            name="raw-which"
            checked={one === which}
            onChange={() => choose(one)}
          />
          {words[one]}
        </label>
      ))}
    </fieldset>
  );
}

function Download({ text, name }: { text: string; name: string }) {
  return (
    <button
      type="button"
      class="button"
      data-testid="raw-download"
      onClick={() => save(text, name)}
    >
      <Icon name="download" /> <span>{words.download}</span>
    </button>
  );
}

/** Store a text as a file. An address of a blob is made and let go for it: nothing is loaded. */
function save(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), FREE_MS);
}

function Text({ text }: { text: string }) {
  const cut = text.length > SHOWN_MAX;
  return (
    <>
      {cut ? <p class="raw-soft">{words.cut(bytes(SHOWN_MAX), bytes(text.length))}</p> : null}
      <Pre text={cut ? text.slice(0, SHOWN_MAX) : text} label={words.label} testid="raw-json" />
    </>
  );
}

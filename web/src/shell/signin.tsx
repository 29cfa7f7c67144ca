/** The way in: by the org's provider of identities, or by a login link. */

import "./signin.css";
import { useEffect, useState } from "preact/hooks";
import { type ApiError, ask } from "../api/http";
import type { SignInMethods } from "../api/types";
import { Copy, Notice } from "../parts";
import { signin } from "../text/signin";
import { loginToken } from "./logintoken";
import { rememberPlace } from "./return";

export default function SignIn({ ended }: { ended: boolean }) {
  const [methods, setMethods] = useState<SignInMethods | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    ask<SignInMethods>("/api/session/methods")
      .then(({ value }) => setMethods(value))
      .catch((reason: Error) => setError(signin.methodsFailed(reason.message)));
  }, []);
  return (
    <main class="signin" data-testid="sign-in">
      <div class="signin-box">
        <h1 class="signin-title">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          {signin.title}
        </h1>
        {ended ? <p class="signin-ended">{signin.ended}</p> : null}
        {error ? (
          <p class="signin-error" role="alert">
            {error}
          </p>
        ) : null}
        {methods?.oidc ? (
          <>
            <a class="button button-main" href="/api/session/oidc/start" onClick={rememberPlace}>
              {signin.oidc}
            </a>
            <p class="signin-or">{signin.or}</p>
          </>
        ) : null}
        <LinkForm main={methods?.oidc !== true} />
        <HowTo />
      </div>
    </main>
  );
}

function LinkForm({ main }: { main: boolean }) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const send = async (event: Event) => {
    event.preventDefault();
    const token = loginToken(text);
    if (!token) {
      setError(signin.linkNone);
      return;
    }
    setBusy(true);
    setError("");
    try {
      await ask("/api/session/link", { method: "POST", body: { token } });
      // The same address, with nothing left of whoever was here before.
      location.reload();
    } catch (reason) {
      setBusy(false);
      setError(refusal(reason as ApiError));
    }
  };
  return (
    <form class="signin-form" onSubmit={send}>
      <label class="signin-label" for="sign-in-link">
        {signin.linkLabel}
      </label>
      <input
        id="sign-in-link"
        class="field"
        data-testid="sign-in-link"
        type="text"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-describedby="sign-in-hint"
        aria-invalid={error ? true : undefined}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <p id="sign-in-hint" class="signin-hint">
        {signin.linkHint}
      </p>
      {error ? (
        <p class="signin-error" role="alert">
          {error}
        </p>
      ) : null}
      <button
        type="submit"
        class={main ? "button button-main" : "button"}
        disabled={busy || text.trim() === ""}
      >
        {signin.linkSend}
      </button>
    </form>
  );
}

function refusal(error: ApiError): string {
  return error.code === "bad_origin" || error.code === "csrf" ? signin.refusedHere : error.message;
}

function HowTo() {
  return (
    <Notice tone="calm" title={signin.linkHow}>
      <p>{signin.linkAdmin}</p>
      <Command text={signin.linkCommand} />
      <p>{signin.linkFirst}</p>
      <Command text={signin.linkFirstCommand} />
    </Notice>
  );
}

function Command({ text }: { text: string }) {
  return (
    <div class="signin-command">
      <code>
        {text.split(" ").map((word) => (
          <>
            <span class="signin-word">{word}</span>{" "}
          </>
        ))}
      </code>
      <Copy text={text} label={signin.copyCommand} />
    </div>
  );
}

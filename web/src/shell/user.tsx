/** Who is signed in, as which role, and the way out. */

import "./user.css";
import { useState } from "preact/hooks";
import { session, signOut } from "../fleet/session";
import { Icon, Said } from "../parts";
import { shell } from "../text/shell";

const NAME_MAX = 24;
/** Characters of a name in the head. */

export function User() {
  const who = session.value;
  const [error, setError] = useState("");
  if (!who) return null;
  const name = who.user?.name ?? who.subject ?? shell.somebody;
  const out = () => {
    setError("");
    signOut().catch((reason: Error) => setError(shell.signOutFailed(reason.message)));
  };
  return (
    <div class="user">
      <button
        type="button"
        class="button button-bare user-button"
        popovertarget="user-menu"
        data-testid="user-menu"
        aria-label={shell.user(name)}
        title={shell.user(name)}
      >
        <Icon name="user" />
        <span class="user-name">
          <Said text={name} max={NAME_MAX} />
        </span>
      </button>
      <section id="user-menu" class="user-menu" popover="auto" aria-label={shell.account}>
        <p class="user-full">
          <Said text={name} max={80} />
        </p>
        <dl class="user-facts">
          {who.user?.email ? <Fact name={shell.email} value={who.user.email} /> : null}
          <Fact name={shell.org} value={who.orgName ?? who.orgId} />
          {who.role ? <Fact name={shell.role} value={who.role} /> : null}
          {who.expiresAt ? <Fact name={shell.until} value={dateText(who.expiresAt)} /> : null}
        </dl>
        <button type="button" class="button" data-testid="sign-out" onClick={out}>
          {shell.signOut}
        </button>
        {error ? (
          <p class="user-error" role="alert">
            {error}
          </p>
        ) : null}
      </section>
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <Said text={value} max={80} />
      </dd>
    </>
  );
}

/** A date and hour without seconds; what is none is shown as it came. */
function dateText(stamp: string): string {
  const at = Date.parse(stamp);
  if (!Number.isFinite(at)) return stamp;
  return new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

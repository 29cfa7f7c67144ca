/** As whom one is signed in, and the way out. */

import { useState } from "preact/hooks";
import type { ApiError } from "../api/http";
import { endSession, session, signOut } from "../fleet/session";
import { Said } from "../parts";
import { account } from "../text/account";
import { dateOf } from "../units";

export default function Account({ name }: { name: string }) {
  const who = session.value;
  const [error, setError] = useState("");
  if (!who) return null;
  const out = () => {
    setError("");
    signOut().catch((reason: ApiError) => {
      if (reason.signedOut) endSession();
      else setError(account.signOutFailed(reason.message));
    });
  };
  return (
    <>
      <p class="user-full">
        <Said text={name} max={80} />
      </p>
      <dl class="user-facts">
        {who.user?.email ? <Fact name={account.email} value={who.user.email} /> : null}
        <Fact name={account.org} value={who.orgName ?? who.orgId} />
        {who.role ? <Fact name={account.role} value={who.role} /> : null}
        {who.expiresAt ? <Fact name={account.until} value={dateText(who.expiresAt)} /> : null}
      </dl>
      <button type="button" class="button" data-testid="sign-out" onClick={out}>
        {account.signOut}
      </button>
      {error ? (
        <p class="user-error" role="alert">
          {error}
        </p>
      ) : null}
    </>
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
  const at = dateOf(stamp);
  if (at === null) return stamp;
  return new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

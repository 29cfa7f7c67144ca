/** Who is signed in; behind the name the role and the way out. */

import "./user.css";
import { useState } from "preact/hooks";
import { session } from "../fleet/session";
import { Icon, Said } from "../parts";
import { shell } from "../text/shell";
import { later } from "./later";

const NAME_MAX = 24;
/** Characters of a name in the head. */

const Account = later<{ name: string }>(() => import("./account"));

export function User() {
  const who = session.value;
  const [opened, setOpened] = useState(false);
  if (!who) return null;
  const name = who.user?.name ?? who.subject ?? shell.somebody;
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
      <section
        id="user-menu"
        class="user-menu"
        popover="auto"
        aria-label={shell.account}
        onBeforeToggle={() => setOpened(true)}
      >
        {opened ? <Account name={name} /> : null}
      </section>
    </div>
  );
}

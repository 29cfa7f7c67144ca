/** Who may sign in, and what they may do. */

import type { components } from "../api/schema";
import { session } from "../fleet/session";
import { Said } from "../parts";
import { access } from "../text/access";
import { Instead, useOrgList } from "./orglist";

type UserView = components["schemas"]["UserView"];

const text = access.people;
const NAME_MAX = 64;
/** Characters of a name or an address. */

export function People() {
  const found = useOrgList<UserView>("/api/orgs/users", "users");
  if (!found.list?.length || found.error) return <Instead found={found} words={text} />;
  const { column } = text;
  return (
    <div class="table-frame">
      <table class="table" data-testid="people-table">
        <caption class="unseen">{text.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{column.name}</th>
            <th scope="col">{column.email}</th>
            <th scope="col">{column.role}</th>
            <th scope="col">{column.by}</th>
            <th scope="col">{column.state}</th>
          </tr>
        </thead>
        <tbody>
          {found.list.map((user) => (
            <Line key={user.userId} user={user} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ user }: { user: UserView }) {
  const { column } = text;
  const own = session.value?.user?.userId === user.userId;
  const out = typeof user.disabledAt === "string";
  return (
    <tr data-testid="person-row">
      <th scope="row">
        <Said text={user.name} max={NAME_MAX} />
        {own ? <span class="soft"> ({text.you})</span> : null}
      </th>
      <td data-name={column.email}>
        {user.email ? <Said text={user.email} max={NAME_MAX} /> : text.noEmail}
      </td>
      <td data-name={column.role}>{user.role}</td>
      <td data-name={column.by}>{text.by[user.signsInBy] ?? user.signsInBy}</td>
      <td data-name={column.state} title={user.disabledAt ?? undefined}>
        <span class="access-state" data-state={out ? "revoked" : "active"}>
          {out ? text.disabled : text.active}
        </span>
      </td>
    </tr>
  );
}

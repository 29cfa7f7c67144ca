/** What somebody may not do is explained, and not hidden. */

import type { ComponentChildren } from "preact";
import { may, type Role, session } from "../fleet/session";
import { Notice } from "../parts";
import { access } from "../text/access";

interface Props {
  needs: Role;
  children: ComponentChildren;
}

export function Gate({ needs, children }: Props) {
  const text = access.role;
  const who = session.value;
  if (may(needs)) return <>{children}</>;
  if (!who) return <p class="section-hint">{text.unknown}</p>;
  return (
    <Notice tone="calm" title={text.needs(needs)} testid={`needs-${needs}`}>
      <p>{who.role ? text.yours(who.role, who.orgName ?? who.orgId) : text.none}</p>
      <p class="section-hint">{text.roles}</p>
    </Notice>
  );
}

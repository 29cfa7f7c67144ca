/** Says what is the matter and what can be done: empty lists, errors, things that one may not see. */

import "./notice.css";
import type { ComponentChildren } from "preact";
import type { Tone } from "./badge";
import { Icon, type IconName } from "./icon";

const PICTURES: Readonly<Record<Tone, IconName>> = {
  good: "online",
  warn: "degraded",
  bad: "offline",
  calm: "unknown",
  dim: "unknown",
};

export interface NoticeProps {
  tone: Tone;
  title: ComponentChildren;
  children?: ComponentChildren;
  /** Buttons and links. */
  actions?: ComponentChildren;
  testid?: string | undefined;
  /** "alert" where it answers what the visitor did; "none" where it stands from the start. */
  role?: "alert" | "status" | "none";
}

export function Notice({ tone, title, children, actions, testid, role = "none" }: NoticeProps) {
  return (
    <div
      class="notice"
      data-tone={tone}
      data-testid={testid}
      {...(role === "none" ? {} : { role })}
    >
      <span class="notice-picture">
        <Icon name={PICTURES[tone]} />
      </span>
      <div class="notice-words">
        <p class="notice-title">{title}</p>
        {children}
        {actions ? <div class="notice-actions">{actions}</div> : null}
      </div>
    </div>
  );
}

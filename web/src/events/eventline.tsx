/** One thing that happened. */

import type { FleetEvent } from "../api/types";
import { nodeSignal } from "../fleet/store";
import { Icon, type IconName, NodeLink, Said, StateBadge, type Tone, toneOf } from "../parts";
import { events as text } from "../text/events";
import { dateOf, moment } from "../units";

const REASON_MAX = 64;
/** Characters of a reason. */

const MESSAGE_MAX = 240;
/** Characters of a sentence. */

const KINDS: Readonly<Record<string, readonly [IconName, Tone]>> = {
  state: ["live", "dim"],
  fault: ["degraded", "warn"],
  xid: ["bolt", "bad"],
  config: ["gear", "calm"],
  node: ["gpu", "calm"],
};

/** The picture of an event, and how grave it is: of a state, as grave as the state. */
export function lookOf(event: FleetEvent): readonly [IconName, Tone] {
  const known = Object.hasOwn(KINDS, event.kind) ? KINDS[event.kind] : undefined;
  const [icon, tone] = known ?? ["unknown", "dim"];
  return [icon, event.kind === "state" && event.state ? toneOf(event.state) : tone];
}

export function EventLine({ event }: { event: FleetEvent }) {
  const [icon, tone] = lookOf(event);
  const count = event.count ?? 1;
  return (
    <li class="event" data-testid="event-row" data-kind={event.kind}>
      <Hour time={event.time} />
      <span class="event-kind" data-tone={tone} title={kindName(event.kind)}>
        <Icon name={icon} />
        <span class="unseen">{kindName(event.kind)}</span>
      </span>
      <div class="event-words">
        <p class="event-first">
          <NodeLink id={event.node} name={nodeSignal(event.node)?.peek().profile.name} />
          <Change event={event} />
          <span class="event-reason">
            <Said text={event.reason ?? ""} max={REASON_MAX} />
          </span>
          {count > 1 ? <span class="event-count">{text.times(count)}</span> : null}
        </p>
        {event.message ? (
          <p class="event-message">
            <Said text={event.message} max={MESSAGE_MAX} />
          </p>
        ) : null}
      </div>
    </li>
  );
}

function kindName(kind: string): string {
  const kinds: Readonly<Record<string, string>> = text.kinds;
  return (Object.hasOwn(kinds, kind) ? kinds[kind] : undefined) ?? kind.slice(0, 24);
}

function Hour({ time }: { time: string }) {
  const at = dateOf(time);
  if (at === null) return <span class="event-hour">{text.sinceUnknown}</span>;
  const full = moment(at);
  return (
    <time class="event-hour" dateTime={full} title={full}>
      {new Date(at).toLocaleTimeString("en-GB")}
    </time>
  );
}

function Change({ event }: { event: FleetEvent }) {
  if (!event.state) return null;
  return (
    <span class="event-change">
      {event.before && event.before !== event.state ? (
        <>
          <StateBadge state={event.before} />
          <Icon name="right" />
        </>
      ) : null}
      <StateBadge state={event.state} />
    </span>
  );
}

/** What happened to the node, the latest first. */

import "./history.css";
import { untracked } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { FleetEvent } from "../api/types";
import { freshEvents } from "../fleet/store";
import { Age, Notice, Said, Spinner } from "../parts";
import { drawer, past as words } from "../text/drawer";
import { count, dateOf } from "../units";
import { EVENTS_SHOWN, readEvents } from "./detail";
import { Failure } from "./failure";
import { type Loader, useLoader } from "./loader";
import type { OpenNode } from "./node";

export function History({ node }: { node: OpenNode }) {
  const events = useLoader((signal) => readEvents(node.id, signal), [node]);
  useFresh(node.id, events);
  const { value, error, since } = events.state.value;
  if (value === null && since !== null) {
    return (
      <p class="past-wait">
        {words.loading} <Spinner since={since} />
      </p>
    );
  }
  return (
    <>
      {error ? (
        <Failure title={words.failed} error={error} kept={value !== null} again={events} />
      ) : null}
      {value === null ? null : <Events events={value} />}
    </>
  );
}

/** Read again when the stream tells of something that happened to this node. */
function useFresh(id: string, events: Loader<unknown>): void {
  const newest = freshEvents.value.find((event) => event.node === id)?.id;
  useEffect(() => {
    if (newest !== undefined) untracked(() => void events.load());
  }, [newest]);
}

function Events({ events }: { events: readonly FleetEvent[] }) {
  if (events.length === 0) return <Notice tone="dim" title={words.empty} />;
  return (
    <div class="past" data-testid="node-events">
      <table class="past-table">
        <caption class="unseen">{words.caption}</caption>
        <thead>
          <tr>
            <th scope="col">{words.time}</th>
            <th scope="col">{words.kind}</th>
            <th scope="col">{words.what}</th>
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <tr key={event.id}>
              <td class="past-when">
                {dateOf(event.time) === null ? drawer.unknown : <Age ms={dateOf(event.time)} />}
              </td>
              <td>
                <Said text={kindOf(event.kind)} max={24} />
              </td>
              <td>
                <What event={event} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {events.length >= EVENTS_SHOWN ? <p class="past-soft">{words.last(EVENTS_SHOWN)}</p> : null}
    </div>
  );
}

function kindOf(kind: string): string {
  return Object.hasOwn(words.kinds, kind) ? (words.kinds[kind] ?? kind) : kind;
}

function What({ event }: { event: FleetEvent }) {
  const change = event.state ? words.change(event.before ?? drawer.unknown, event.state) : null;
  return (
    <>
      {change === null ? null : (
        <strong>
          <Said text={change} max={80} />
        </strong>
      )}{" "}
      <Said text={event.reason} max={80} />
      {(event.count ?? 1) > 1 ? (
        <span class="past-soft"> {words.times(count(event.count))}</span>
      ) : null}
      {event.message ? (
        <div class="past-soft">
          <Said text={event.message} max={400} />
        </div>
      ) : null}
    </>
  );
}

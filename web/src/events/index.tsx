/** The Events tab: what is wrong and since when, and then what happened. */

import { DEADLINE_SECONDS } from "../api/http";
import "../parts/table.css";
import "./events.css";
import { useMemo } from "preact/hooks";
import { now } from "../fleet/clock";
import { allRows, freshEvents, shape } from "../fleet/store";
import { Notice, Spinner } from "../parts";
import { events as text } from "../text/events";
import { go, place } from "../url";
import { type Events, useEvents } from "./data";
import { EventLine } from "./eventline";
import { ALL, type Filter, filterOf, wanted, wordsOf } from "./filter";
import { FilterBar } from "./filterbar";
import { days, unseen } from "./list";
import { openNow } from "./open";
import { OpenNow } from "./opentable";

export default function EventsTab() {
  const shaped = shape.value;
  const all = useMemo(() => allRows(), [shaped]);
  return (
    <>
      <OpenNow rows={openNow(all)} nodes={all.length} />
      <Happened />
    </>
  );
}

function Happened() {
  const filter = filterOf(place.value.q);
  const words = wordsOf(filter);
  const events = useEvents(filter, words);
  const change = (next: Filter) => go({ q: wordsOf(next) }, "replace");
  return (
    <section class="section" aria-labelledby="events-title">
      <div class="section-head">
        <h2 id="events-title" class="section-title">
          {text.title}
        </h2>
        <FilterBar filter={filter} onChange={change} />
      </div>
      <Fresh events={events} filter={filter} />
      <List events={events} />
      <Foot events={events} filtered={words !== ""} onClear={() => change(ALL)} />
    </section>
  );
}

/** What came meanwhile waits for a click: a list that is read does not move. */
function Fresh({ events, filter }: { events: Events; filter: Filter }) {
  const newer = unseen(
    freshEvents.value.filter((event) => wanted(event, filter)),
    events.list ?? [],
  );
  if (events.list === null || newer.length === 0) return null;
  return (
    <button
      type="button"
      class="button events-fresh"
      data-testid="events-fresh"
      onClick={() => events.take(newer)}
    >
      {text.fresh(newer.length)}
    </button>
  );
}

function List({ events }: { events: Events }) {
  if (!events.list || events.list.length === 0) return null;
  return (
    <div class="events-days">
      {days(events.list, now.peek()).map((day) => (
        <div key={day.key}>
          <h3 class="events-day">{day.name}</h3>
          <ol class="events-list">
            {day.events.map((event) => (
              <EventLine key={event.id} event={event} />
            ))}
          </ol>
        </div>
      ))}
    </div>
  );
}

interface FootProps {
  events: Events;
  filtered: boolean;
  onClear: () => void;
}

/** What comes below: that it loads or failed, that there are more, or none. */
function Foot({ events, filtered, onClear }: FootProps) {
  if (events.since !== null) {
    return <Spinner since={events.since} deadlineSeconds={DEADLINE_SECONDS} />;
  }
  if (events.error) return <Failure events={events} why={events.error} />;
  if (events.list?.length === 0) return <None filtered={filtered} onClear={onClear} />;
  if (events.cursor) {
    return (
      <button type="button" class="button events-more" onClick={events.older}>
        {text.older}
      </button>
    );
  }
  return events.list ? <p class="section-hint">{text.oldest}</p> : null;
}

function Failure({ events, why }: { events: Events; why: string }) {
  return (
    <Notice
      tone="bad"
      role="alert"
      title={text.failed(why)}
      actions={
        <button type="button" class="button" onClick={events.again}>
          {text.again}
        </button>
      }
    />
  );
}

function None({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  if (!filtered) {
    return (
      <Notice tone="calm" title={text.noneTitle} testid="empty-no-events">
        <p>{text.none}</p>
      </Notice>
    );
  }
  return (
    <Notice
      tone="calm"
      title={text.noMatchTitle}
      testid="empty-no-match"
      actions={
        <button type="button" class="button" onClick={onClear}>
          {text.clear}
        </button>
      }
    >
      <p>{text.noMatch}</p>
    </Notice>
  );
}

/** The Models tab: the nodes' table turned round. */

import { DEADLINE_SECONDS } from "../api/http";
import "../parts/table.css";
import "./models.css";
import { useMemo, useRef, useState } from "preact/hooks";
import { now } from "../fleet/clock";
import { allRows, shape } from "../fleet/store";
import { Icon, Notice, Spinner } from "../parts";
import { useKeys } from "../shell/keys";
import { models as text } from "../text/models";
import { go, place } from "../url";
import { loadModels, type Models, useModels } from "./data";
import { ModelLine } from "./line";
import { found, type ModelRow, modelRows, wordsOf } from "./rows";

const SHOWN = 200;
/** Rows at first; more at a click. */

export default function ModelsTab() {
  const data = useModels();
  const rows = useRows(data);
  const words = wordsOf(place.value.q);
  const shown = rows.filter((row) => found(row, words));
  return (
    <section class="section" aria-labelledby="models-title">
      <div class="section-head">
        <h2 id="models-title" class="section-title">
          {text.title}
        </h2>
        <Search />
        <span class="section-count" data-testid="result-count">
          {data.list ? text.count(shown.length, rows.length) : null}
        </span>
      </div>
      {data.error && data.list ? <Failure why={text.failedOld(data.error)} /> : null}
      <Body data={data} rows={rows} shown={shown} />
    </section>
  );
}

/** Figures of the nodes move each second at most: a table that is read is no meter. */
function useRows(data: Models): ModelRow[] {
  const second = now.value;
  const shaped = shape.value;
  return useMemo(() => modelRows(data.list ?? [], allRows()), [data.list, second, shaped]);
}

function Search() {
  const box = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => box.current?.focus() });
  return (
    <input
      ref={box}
      type="search"
      class="field modeltab-search"
      data-testid="filter-search"
      aria-label={text.search}
      placeholder={text.search}
      value={place.value.q}
      onInput={(event) => go({ q: event.currentTarget.value }, "replace")}
    />
  );
}

interface BodyProps {
  data: Models;
  rows: readonly ModelRow[];
  shown: readonly ModelRow[];
}

function Body({ data, rows, shown }: BodyProps) {
  if (!data.list) {
    if (data.error) return <Failure why={text.failed(data.error)} />;
    return <Spinner since={data.since || performance.now()} deadlineSeconds={DEADLINE_SECONDS} />;
  }
  if (rows.length === 0) {
    return (
      <Notice tone="calm" title={text.emptyTitle} testid="empty-no-models">
        <p>{text.empty}</p>
      </Notice>
    );
  }
  if (shown.length === 0) {
    return (
      <Notice
        tone="calm"
        title={text.noMatchTitle}
        testid="empty-no-match"
        actions={
          <button type="button" class="button" onClick={() => go({ q: "" })}>
            {text.clear}
          </button>
        }
      />
    );
  }
  return <Table rows={shown} />;
}

function Failure({ why }: { why: string }) {
  return (
    <Notice
      tone="bad"
      role="alert"
      title={why}
      actions={
        <button type="button" class="button" onClick={() => void loadModels()}>
          <Icon name="retry" />
          {text.again}
        </button>
      }
    />
  );
}

function Table({ rows }: { rows: readonly ModelRow[] }) {
  const [most, setMost] = useState(SHOWN);
  const more = rows.length - most;
  const { column } = text;
  return (
    <>
      <div class="table-frame">
        <table class="table">
          <caption class="unseen">{text.caption}</caption>
          <thead>
            <tr>
              <th scope="col">{column.model}</th>
              <th scope="col">{column.health}</th>
              <th scope="col">{column.nodes}</th>
              <th scope="col" class="number">
                {column.replicas}
              </th>
              <th scope="col">{column.engines}</th>
              <th scope="col" class="number" title={text.runningTitle}>
                {column.running}
              </th>
              <th scope="col" class="number" title={text.waitingTitle}>
                {column.waiting}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, most).map((row) => (
              <ModelLine key={row.model} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      {more > 0 ? (
        <button type="button" class="button" onClick={() => setMost(most + SHOWN)}>
          {text.more(Math.min(more, SHOWN))}
        </button>
      ) : null}
    </>
  );
}

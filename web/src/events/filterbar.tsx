/** Which events: kinds as switches, node and reason as words, how far back. */

import { events as text } from "../text/events";
import {
  ALL,
  type Filter,
  KINDS,
  type Kind,
  SINCES,
  type Since,
  soundNode,
  wordsOf,
} from "./filter";

interface Props {
  filter: Filter;
  onChange: (filter: Filter) => void;
}

export function FilterBar({ filter, onChange }: Props) {
  const turn = (kind: Kind) => {
    const has = filter.kinds.includes(kind);
    const kinds = has ? filter.kinds.filter((other) => other !== kind) : [...filter.kinds, kind];
    onChange({ ...filter, kinds });
  };
  return (
    <search class="events-filter" aria-label={text.filters}>
      <fieldset class="events-kinds">
        <legend class="unseen">{text.kind}</legend>
        {KINDS.map((kind) => (
          <label key={kind} class="events-kind">
            <input
              type="checkbox"
              checked={filter.kinds.includes(kind)}
              onChange={() => turn(kind)}
            />
            {text.kinds[kind]}
          </label>
        ))}
      </fieldset>
      <Word
        name={text.node}
        hint={text.nodeHint}
        value={filter.node}
        error={soundNode(filter.node) ? "" : text.nodeWrong}
        onChange={(node) => onChange({ ...filter, node })}
      />
      <Word
        name={text.reason}
        hint={text.reasonHint}
        value={filter.reason}
        error=""
        onChange={(reason) => onChange({ ...filter, reason })}
      />
      <label class="events-word">
        <span>{text.since}</span>
        <select
          class="field"
          value={filter.since}
          onChange={(event) => onChange({ ...filter, since: event.currentTarget.value as Since })}
        >
          {SINCES.map((since) => (
            <option key={since} value={since}>
              {text.sinces[since]}
            </option>
          ))}
        </select>
      </label>
      {wordsOf(filter) !== "" ? (
        <button
          type="button"
          class="button"
          data-testid="filter-clear"
          onClick={() => onChange(ALL)}
        >
          {text.clear}
        </button>
      ) : null}
    </search>
  );
}

interface WordProps {
  name: string;
  hint: string;
  value: string;
  error: string;
  onChange: (value: string) => void;
}

function Word({ name, hint, value, error, onChange }: WordProps) {
  return (
    <label class="events-word">
      <span>{name}</span>
      <input
        type="text"
        class="field"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        maxLength={128}
        placeholder={hint}
        title={error || undefined}
        aria-invalid={error ? true : undefined}
        value={value}
        onInput={(event) => onChange(event.currentTarget.value.trim())}
      />
      {error ? (
        <span class="events-error" role="alert">
          {error}
        </span>
      ) : null}
    </label>
  );
}

/** What is looked for, how it is shown, and how much was found. */

import "./filters.css";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { queryError } from "../fleet/query";
import { cut, Icon } from "../parts";
import { useKeys } from "../shell/keys";
import { nodesText as words } from "../text/nodes";
import { go, place } from "../url";
import { type Choice, gpuChoices, modelChoices } from "./choices";
import { ColumnChooser } from "./chooser";
import { Result } from "./result";
import { choose, type View, view } from "./view";

const TYPED_MS = 150;
/** Between the last key and the search: browsers bear only so many changes of the address. */

export function Filters({ legend }: { legend: { open: boolean; id: string; turn: () => void } }) {
  return (
    <search class="filters" aria-label={words.filters}>
      <Search />
      <Pick
        name="model"
        label={words.modelFilter}
        any={words.anyModel}
        choices={modelChoices.value}
      />
      <Pick name="gpu" label={words.gpuFilter} any={words.anyGpu} choices={gpuChoices.value} />
      <Clear />
      <Result />
      <div class="filters-end">
        <button
          type="button"
          class="button"
          aria-expanded={legend.open}
          aria-controls={legend.id}
          onClick={legend.turn}
        >
          <Icon name="help" />
          <span class="filters-word">{words.legend}</span>
        </button>
        {view.value === "table" ? <ColumnChooser /> : null}
        <ViewSwitch />
      </div>
    </search>
  );
}

function Search() {
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const asked = place.value.q;
  const [text, setText] = useState(asked);
  const [sent, setSent] = useState(asked);
  // The address changed otherwise: by the history, or a cleared filter.
  if (asked !== sent) {
    setSent(asked);
    setText(asked);
  }
  useEffect(() => {
    if (text === sent) return;
    const timer = setTimeout(() => {
      setSent(text);
      go({ q: text }, "replace");
    }, TYPED_MS);
    return () => clearTimeout(timer);
  }, [text, sent]);
  useKeys({
    "/": () => {
      field.current?.focus();
      field.current?.select();
    },
  });
  const error = queryError.value;
  return (
    <div class="filters-search">
      <Icon name="search" />
      <input
        ref={field}
        id={id}
        type="search"
        class="field"
        data-testid="filter-search"
        aria-label={words.search}
        aria-invalid={error !== null}
        aria-describedby={error === null ? undefined : `${id}-error`}
        placeholder={words.searchHint}
        title={`${words.searchHint}. ${words.searchKeys}`}
        maxLength={512}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="none"
        enterkeyhint="search"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <span class="filters-key" aria-hidden="true">
        /
      </span>
      {error === null ? null : (
        <p class="filters-error" id={`${id}-error`}>
          {cut(error, 200)}
        </p>
      )}
    </div>
  );
}

interface PickProps {
  name: "model" | "gpu";
  label: string;
  any: string;
  choices: readonly Choice[];
}

function Pick({ name, label, any, choices }: PickProps) {
  const asked = place.value[name];
  const known = choices.some((choice) => choice.value === asked);
  return (
    <select
      class="field filters-pick"
      data-testid={`filter-${name}`}
      aria-label={label}
      value={asked}
      data-on={asked ? "" : undefined}
      onChange={(event) => go({ [name]: event.currentTarget.value })}
    >
      <option value="">{any}</option>
      {asked && !known ? <option value={asked}>{cut(asked, 48)}</option> : null}
      {choices.map((choice) => (
        <option key={choice.value} value={choice.value}>
          {words.option(choice.text, choice.count)}
        </option>
      ))}
    </select>
  );
}

/** Take all filters away; the order stays. */
export function clearFilters(): void {
  go({ q: "", state: "", model: "", gpu: "" });
}

function Clear() {
  const { q, state, model, gpu } = place.value;
  if (!(q || state || model || gpu)) return null;
  return (
    <button type="button" class="button" data-testid="filter-clear" onClick={clearFilters}>
      <Icon name="close" />
      {words.clear}
    </button>
  );
}

function ViewSwitch() {
  const present = view.value;
  const kinds: readonly (readonly [View, string])[] = [
    ["table", words.table],
    ["cards", words.cards],
  ];
  return (
    <fieldset class="filters-views" aria-label={words.view}>
      {kinds.map(([kind, name]) => (
        <button
          key={kind}
          type="button"
          class="button"
          data-testid={`view-${kind}`}
          aria-pressed={present === kind}
          aria-label={name}
          title={name}
          onClick={() => choose(kind)}
        >
          <Icon name={kind} />
        </button>
      ))}
    </fieldset>
  );
}

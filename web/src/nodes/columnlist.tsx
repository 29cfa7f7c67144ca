/** The columns to choose from. */

import { nodesText as words } from "../text/nodes";
import { COLUMNS, crowded, hidden, optional, setHidden, showAll } from "./columns";

export default function ColumnList() {
  const away = hidden.value;
  const tight = crowded.value.map((column) => words.column[column]);
  return (
    <fieldset class="chooser-set">
      <legend>{words.columns}</legend>
      {COLUMNS.filter(optional).map((column) => (
        <label key={column} class="chooser-line">
          <input
            type="checkbox"
            data-testid={`column-${column}`}
            checked={!away.has(column)}
            onChange={(event) => setHidden(column, !event.currentTarget.checked)}
          />
          <span title={words.columnTitle[column]}>{words.column[column]}</span>
        </label>
      ))}
      {tight.length > 0 ? <p class="chooser-hint">{words.noRoom(tight.join(", "))}</p> : null}
      <p class="chooser-hint">{words.columnsHint}</p>
      {away.size > 0 ? (
        <button type="button" class="button" onClick={showAll}>
          {words.allColumns}
        </button>
      ) : null}
    </fieldset>
  );
}

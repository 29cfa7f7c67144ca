/** Models as the tab shows them: what the API counts, and what the fleet's own rows add. */

import type { ModelView } from "../api/types";
import type { Row } from "../fleet/row";

export interface ModelRow {
  readonly model: string;
  /** Those that serve it now. */
  readonly nodes: readonly string[];
  /** Those that had it when they were last heard of, and serve nothing now. */
  readonly silent: readonly string[];
  readonly replicas: number;
  /** Null: nobody said how its services are. */
  readonly healthy: number | null;
  readonly engines: readonly string[];
  readonly running: number | null;
  readonly waiting: number | null;
}

/** Put both together: what wants attention first, then by name. */
export function modelRows(views: readonly ModelView[], fleet: readonly Row[]): ModelRow[] {
  const byId = new Map(fleet.map((row) => [row.id, row]));
  const holders = holdersOf(fleet);
  const rows = views.map((view) => rowOf(view, byId, holders.get(view.model) ?? []));
  const known = new Set(views.map((view) => view.model));
  for (const [model, who] of holders) if (!known.has(model)) rows.push(...lostOf(model, who));
  return rows.sort((a, b) => rank(a) - rank(b) || compare(a.model, b.model));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** 0: nobody serves it; 1: some replicas are not well; 2: nobody knows; 3: well. */
export function rank(row: ModelRow): number {
  if (row.replicas === 0 || row.healthy === 0) return 0;
  if (row.healthy === null) return 2;
  return row.healthy < row.replicas ? 1 : 3;
}

function holdersOf(fleet: readonly Row[]): Map<string, Row[]> {
  const holders = new Map<string, Row[]>();
  for (const row of fleet) {
    if (row.state === "Decommissioned") continue;
    for (const model of row.profile.models ?? []) {
      const known = holders.get(model);
      if (known) known.push(row);
      else holders.set(model, [row]);
    }
  }
  return holders;
}

function rowOf(view: ModelView, byId: ReadonlyMap<string, Row>, holders: readonly Row[]): ModelRow {
  const nodes = view.nodes ?? [];
  const serving = new Set(nodes);
  const speaking = nodes.map((id) => byId.get(id)).filter((row) => row !== undefined);
  return {
    model: view.model,
    nodes,
    silent: holders.filter((row) => isSilent(row) && !serving.has(row.id)).map((row) => row.id),
    replicas: view.replicas,
    healthy: view.healthy ?? null,
    engines: view.engines ?? [],
    running: sum(speaking.map((row) => row.pulse.running)),
    waiting: sum(speaking.map((row) => row.pulse.waiting)),
  };
}

/** The API lists what it has looked up within seconds; only silence makes a model lost. */
function isSilent(row: Row): boolean {
  return row.state === "Offline" || row.state === "Unknown";
}

function lostOf(model: string, holders: readonly Row[]): ModelRow[] {
  const silent = holders.filter(isSilent).map((row) => row.id);
  if (silent.length === 0) return [];
  const nothing = { replicas: 0, healthy: null, engines: [], running: null, waiting: null };
  return [{ model, nodes: [], silent, ...nothing }];
}

/** Null if nobody told; else of those who did. */
function sum(values: readonly (number | null | undefined)[]): number | null {
  const told = values.filter((value) => typeof value === "number");
  return told.length > 0 ? told.reduce((whole, value) => whole + value, 0) : null;
}

/** Whether all words are found in a model's name, its engines or its nodes. */
export function found(row: ModelRow, words: readonly string[]): boolean {
  return words.every((word) =>
    [row.model, ...row.engines, ...row.nodes, ...row.silent].some((text) =>
      text.toLowerCase().includes(word),
    ),
  );
}

/** The words of a search. */
export function wordsOf(search: string): string[] {
  return search.toLowerCase().slice(0, 200).split(/\s+/).filter(Boolean);
}

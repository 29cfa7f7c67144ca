/** The parts of the drawer, one at a time; which one is open stands in the address. */

import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { now } from "../fleet/clock";
import { busyText } from "../fleet/gpus";
import { Age, Notice } from "../parts";
import {
  gpus as gpuWords,
  partNames,
  partsLabel,
  services as serviceWords,
  source,
} from "../text/drawer";
import { go, place } from "../url";
import { Charts } from "./charts";
import { Config } from "./config";
import { Gpus } from "./gpus";
import { History } from "./history";
import { LiveDiff } from "./livediff";
import type { OpenNode } from "./node";
import { Raw } from "./raw";
import { Services } from "./services";

const PARTS = ["gpus", "services", "charts", "live", "history", "config", "raw"] as const;
type PartName = (typeof PARTS)[number];

const AGE_STEP_MS = 15_000;
/** Ages inside of cards: they are minutes and hours, and each step draws all cards anew. */

export function Parts({ node }: { node: OpenNode }) {
  const asked = place.value.part;
  const open = PARTS.find((name) => name === asked) ?? "gpus";
  return (
    <section class="drawer-parts" aria-label={partsLabel}>
      <Tabs open={open} node={node} />
      <div
        class="drawer-panel"
        role="tabpanel"
        id="drawer-panel"
        aria-labelledby={`drawer-tab-${open}`}
        data-testid={`drawer-panel-${open}`}
      >
        <h3 class="unseen">{partNames[open]}</h3>
        <Part name={open} node={node} />
      </div>
    </section>
  );
}

function Tabs({ open, node }: { open: PartName; node: OpenNode }) {
  const row = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent) => {
    const next = neighbour(open, event.key);
    if (next === null) return;
    event.preventDefault();
    show(next);
    row.current?.querySelector<HTMLElement>(`#drawer-tab-${next}`)?.focus();
  };
  useEffect(() => {
    row.current
      ?.querySelector(`#drawer-tab-${open}`)
      ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [open]);
  return (
    <div class="drawer-tabs" role="tablist" aria-label={partsLabel} ref={row} onKeyDown={move}>
      {PARTS.map((name) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={`drawer-tab-${name}`}
          class="drawer-tab"
          aria-selected={name === open}
          aria-controls="drawer-panel"
          tabIndex={name === open ? 0 : -1}
          data-testid={`drawer-part-${name}`}
          onClick={() => show(name)}
        >
          {partNames[name]}
          <Tally name={name} node={node} />
        </button>
      ))}
    </div>
  );
}

function show(name: PartName): void {
  go({ part: name }, "replace");
}

function neighbour(open: PartName, key: string): PartName | null {
  const at = PARTS.indexOf(open);
  const last = PARTS.length - 1;
  if (key === "ArrowRight") return PARTS[at === last ? 0 : at + 1] ?? null;
  if (key === "ArrowLeft") return PARTS[at === 0 ? last : at - 1] ?? null;
  if (key === "Home") return PARTS[0];
  return key === "End" ? (PARTS[last] ?? null) : null;
}

/** How many there are; nothing where nobody knows. */
function Tally({ name, node }: { name: PartName; node: OpenNode }) {
  const status = node.figures.value.status;
  const list = name === "gpus" ? status?.gpus : name === "services" ? status?.services : null;
  const changes = name === "live" ? node.live.last.value?.changes : null;
  const count = list?.length ?? changes?.length ?? null;
  return count === null ? null : <span class="drawer-tally">{count}</span>;
}

function Part({ name, node }: { name: PartName; node: OpenNode }) {
  const coarse = useComputed(() => Math.floor(now.value / AGE_STEP_MS) * AGE_STEP_MS);
  const status = node.figures.value.status;
  // Nothing was read, so that nothing is known: not even that the node says nothing.
  const unread = status === null && node.detail.state.value.value === null;
  const missing = unread && node.detail.state.value.since === null;
  const past = node.old.value && node.trust.value === "lastKnown";
  switch (name) {
    case "gpus":
      return (
        <Dimmed node={node}>
          {missing ? <Unread name={name} node={node} /> : null}
          {unread ? null : <Gpus status={status} nowMs={coarse.value} past={past} />}
        </Dimmed>
      );
    case "services":
      return (
        <Dimmed node={node}>
          {missing ? <Unread name={name} node={node} /> : null}
          {unread ? null : <Services status={status} past={past} />}
        </Dimmed>
      );
    case "charts":
      return <Charts node={node} />;
    case "live":
      return <LiveDiff node={node} />;
    case "history":
      return <History node={node} />;
    case "config":
      return <Config node={node} />;
    case "raw":
      return <Raw node={node} />;
  }
}

function Unread({ name, node }: { name: "gpus" | "services"; node: OpenNode }) {
  const row = node.row.value;
  const title = name === "gpus" ? gpuWords.unread : serviceWords.unread;
  const listed = name === "gpus" && row !== null ? busyText(row) : null;
  return (
    <Notice tone="dim" title={title}>
      {listed ? <p>{gpuWords.listed(listed)}</p> : null}
    </Notice>
  );
}

/** Whose figures these are; paler where they are old. */
function Dimmed({ node, children }: { node: OpenNode; children: ComponentChildren }) {
  const { from, atMs, status } = node.figures.value;
  return (
    <div class="drawer-figures" data-old={node.old.value ? "" : undefined}>
      {status === null ? null : (
        <p class="drawer-source">
          {source[from]} <Age ms={atMs} />
        </p>
      )}
      {children}
    </div>
  );
}

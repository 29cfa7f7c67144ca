/** What the node is: ids, addresses, since when, how it sends; and how its host does. */

import "./facts.css";
import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { now } from "../fleet/clock";
import type { Row } from "../fleet/row";
import { settings } from "../fleet/settings";
import { Age, Copy, Icon, Said } from "../parts";
import { drawer, head } from "../text/drawer";
import { bytes, dateOf, percent, UNKNOWN } from "../units";
import { BeatStrip, skewText } from "./beatstrip";
import { grafanaLink } from "./commands";
import type { Detail } from "./detail";
import { Gauge } from "./gauge";
import type { OpenNode } from "./node";
import { type Status, type System, share } from "./status";

const ADDRESSES_SHOWN = 4;
const LABELS_SHOWN = 12;
const VALUE_MAX = 96;
const SKEW_MAX_SECONDS = 10;
/** The operator calls a clock wrong from here on. */

export function Facts({ node }: { node: OpenNode }) {
  const row = node.row.value;
  if (row === null) return null;
  const detail = node.detail.state.value.value;
  const status = node.figures.value.status;
  return (
    <section class="facts">
      <dl class="facts-list">
        <Fact name={head.id}>
          <Said text={row.id} max={VALUE_MAX} />
          <Copy text={row.id} label={head.copyId} />
        </Fact>
        <Addresses row={row} status={status} />
        <Fact name={head.since}>
          {dateOf(row.since) === null ? UNKNOWN : <Age ms={dateOf(row.since)} />}
        </Fact>
        <Fact name={head.seen}>
          <Age ms={row.seenMs} heard />
        </Fact>
        <Fact name={head.way}>{wayOf(status?.transport ?? row.profile.transport)}</Fact>
        <Skew detail={detail} />
        <Fact name={head.agent}>
          <Told text={status?.agent ?? row.profile.agent} />
        </Fact>
        <Fact name={head.driver}>
          <Told text={status?.driver ?? row.profile.driver} />
        </Fact>
        {row.headscaleId ? (
          <Fact name={head.mesh}>
            <Told text={row.headscaleId} />
          </Fact>
        ) : null}
        <Labels labels={row.labels} />
      </dl>
      <Grafana id={row.id} />
      {detail === null ? null : <Beats node={node} detail={detail} />}
      {status ? <Host system={status.system} old={node.old.value} /> : null}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="facts-pair">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Told({ text }: { text: string | null | undefined }) {
  return text ? <Said text={text} max={VALUE_MAX} /> : UNKNOWN;
}

function Addresses({ row, status }: { row: Row; status: Status | null }) {
  const own = row.profile.address ? [row.profile.address] : [];
  const all = [...new Set([...own, ...(status?.addresses ?? [])])];
  return (
    <Fact name={head.addresses}>
      {all.length === 0 ? UNKNOWN : null}
      {all.slice(0, ADDRESSES_SHOWN).map((address) => (
        <span key={address} class="facts-copied">
          <Said text={address} max={VALUE_MAX} />
          <Copy text={address} label={head.copyAddress(address.slice(0, VALUE_MAX))} />
        </span>
      ))}
      {all.length > ADDRESSES_SHOWN ? <span>{head.more(all.length - ADDRESSES_SHOWN)}</span> : null}
    </Fact>
  );
}

function Skew({ detail }: { detail: Detail | null }) {
  const seconds = detail?.skewSeconds ?? null;
  const text = skewText(seconds);
  const wrong = seconds !== null && Math.abs(seconds) > SKEW_MAX_SECONDS;
  return (
    <Fact name={head.skew}>
      <span class={wrong ? "facts-wrong" : undefined}>{text ?? UNKNOWN}</span>
    </Fact>
  );
}

function wayOf(transport: string | null | undefined): ComponentChildren {
  if (!transport) return UNKNOWN;
  const known = Object.hasOwn(head.ways, transport) ? head.ways[transport] : null;
  return known ?? <Said text={transport} max={VALUE_MAX} />;
}

function Labels({ labels }: { labels: Readonly<Record<string, string>> }) {
  const all = Object.entries(labels);
  if (all.length === 0) return null;
  return (
    <div class="facts-pair facts-wide">
      <dt>{head.labels}</dt>
      <dd class="facts-chips">
        {all.slice(0, LABELS_SHOWN).map(([name, value]) => (
          <span key={name} class="chip">
            <Said text={value ? `${name}=${value}` : name} max={VALUE_MAX} />
          </span>
        ))}
        {all.length > LABELS_SHOWN ? <span>{head.more(all.length - LABELS_SHOWN)}</span> : null}
      </dd>
    </div>
  );
}

function Grafana({ id }: { id: string }) {
  const link = grafanaLink(settings.value.grafanaUrl, id);
  if (link === null) return null;
  return (
    <p>
      <a class="facts-link" href={link} target="_blank" rel="noopener noreferrer">
        <Icon name="link" /> {head.grafana}
      </a>
    </p>
  );
}

function Beats({ node, detail }: { node: OpenNode; detail: Detail | null }) {
  const interval = node.intervalSeconds.value;
  // A slot is an interval long: to look each half of it is often enough.
  const step = Math.max(1000, interval * 500);
  const coarse = useComputed(() => Math.floor(now.value / step) * step);
  const at = coarse.value === 0 ? null : coarse.value;
  return <BeatStrip beats={detail?.beats} intervalSeconds={interval} nowMs={at} />;
}

function Host({ system, old }: { system: System; old: boolean }) {
  const cpu = system.cores === null ? percent(system.cpu) : coresText(system.cpu, system.cores);
  return (
    <div class="facts-host" data-old={old ? "" : undefined}>
      <Gauge label={head.cpu} value={system.cpu} text={system.cpu === null ? UNKNOWN : cpu} />
      <Part label={head.memory} used={system.memoryUsed} total={system.memoryTotal} />
      <Part label={head.disk} used={system.diskUsed} total={system.diskTotal} />
    </div>
  );
}

function coresText(cpu: number | null, cores: number): string {
  return head.cores(percent(cpu), String(cores));
}

function Part(props: { label: string; used: number | null; total: number | null }) {
  return (
    <Gauge
      label={props.label}
      value={share(props.used, props.total)}
      text={usedText(props.used, props.total)}
    />
  );
}

/** So much of so much, as far as it is known; a unit that both have is named once. */
export function usedText(used: number | null, total: number | null): string {
  if (used === null && total === null) return drawer.unknown;
  const [part, all] = [bytes(used), bytes(total)];
  const unit = all.slice(all.lastIndexOf(" "));
  return head.of(total !== null && part.endsWith(unit) ? part.slice(0, -unit.length) : part, all);
}

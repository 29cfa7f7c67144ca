/** The part with the GPUs: what each does, what is wrong with it, and who has it. */

import "./gpus.css";
import { Copy, Notice, Said, type Tone } from "../parts";
import { gpus as words } from "../text/drawer";
import { percent, span, UNKNOWN, watts } from "../units";
import { usedText } from "./facts";
import { Gauge } from "./gauge";
import type { Gpu } from "./gpu";
import { GpuDetails } from "./gpudetails";
import { Faults } from "./gpufaults";
import { Holders } from "./gpuholders";
import { Health } from "./health";
import type { Collector, Status } from "./status";
import { share } from "./status";

const OPEN_MAX = 2;
/** So many GPUs are shown with all their details; of more one opens those that one wants. */

const HOT_CELSIUS = 90;
/** The agent calls a GPU degraded from here on (`TemperatureHigh`). */

const ELSEWHERE = /^(pod|container|process|engine|host)/;
/** Sources that look at something else: why they are silent says nothing of GPUs. */

const SCALE_CELSIUS = 110;
/** The end of the bar: no GPU that answers is hotter. */

const NEAR = 0.95;
/** Of VRAM and of the power limit: not wrong, and worth a look. */

const MODEL_MAX = 48;

export interface GpusProps {
  status: Status | null;
  nowMs: number;
  /** The node is silent: what it said holds no more. */
  past: boolean;
}

export function Gpus({ status, nowMs, past }: GpusProps) {
  if (status === null || status.gpus === null) return <Silent collectors={status?.collectors} />;
  if (status.gpus.length === 0) {
    return (
      <Notice tone="dim" title={words.absent} testid="no-gpus">
        <Reasons collectors={status.collectors} />
      </Notice>
    );
  }
  const open = status.gpus.length <= OPEN_MAX;
  return (
    <div class="gpus">
      {status.gpus.map((gpu, position) => (
        <GpuCard key={gpu.uuid ?? `#${position}`} gpu={gpu} open={open} nowMs={nowMs} past={past} />
      ))}
    </div>
  );
}

function Silent({ collectors }: { collectors: readonly Collector[] | null | undefined }) {
  return (
    <Notice tone="dim" title={words.silent} testid="no-gpus">
      <p>{words.silentWhy}</p>
      <Reasons collectors={collectors} />
    </Notice>
  );
}

/** Why sources say nothing, in the agent's own words. */
function Reasons({ collectors }: { collectors: readonly Collector[] | null | undefined }) {
  const said = (collectors ?? []).filter(
    (one) => one.state !== "ok" && (one.reason || one.message) && !ELSEWHERE.test(one.name),
  );
  if (said.length === 0) return null;
  return (
    <ul>
      {said.slice(0, 8).map((one) => (
        <li key={one.name}>
          <Said text={words.collector(one.name, one.message ?? one.reason ?? "")} max={240} />
        </li>
      ))}
    </ul>
  );
}

interface CardProps {
  gpu: Gpu;
  open: boolean;
  nowMs: number;
  past: boolean;
}

function GpuCard({ gpu, open, nowMs, past }: CardProps) {
  const index = gpu.index === null ? words.noIndex : String(gpu.index);
  return (
    <article class="gpu" data-testid="gpu-card" data-index={index}>
      <header class="gpu-head">
        <h4 class="gpu-name">
          <Said text={words.name(index, gpu.name ?? words.unknownModel)} max={MODEL_MAX} />
        </h4>
        <GpuHealth gpu={gpu} past={past} />
        {gpu.ageSeconds === null ? null : (
          <span class="gpu-old">{words.old(span(gpu.ageSeconds))}</span>
        )}
        {gpu.uuid === null ? null : (
          <span class="gpu-copy">
            <Copy text={gpu.uuid} label={words.copyUuid} />
          </span>
        )}
      </header>
      <Faults gpu={gpu} nowMs={nowMs} />
      <div class="gpu-gauges">
        <Gauge label={words.util} value={gpu.util} text={percent(gpu.util)} />
        <Vram gpu={gpu} />
        <Heat gpu={gpu} />
        <Power gpu={gpu} />
      </div>
      <Holders gpu={gpu} />
      <details class="gpu-more" open={open}>
        <summary>{words.details}</summary>
        <GpuDetails gpu={gpu} />
      </details>
    </article>
  );
}

const TONES: Readonly<Record<string, Tone>> = {
  ok: "good",
  healthy: "good",
  degraded: "warn",
  failed: "bad",
};

function GpuHealth({ gpu, past }: { gpu: Gpu; past: boolean }) {
  const health = gpu.health ?? "unknown";
  const word = Object.hasOwn(words.health, health) ? (words.health[health] ?? health) : health;
  const tone = (Object.hasOwn(TONES, health) && TONES[health]) || "dim";
  return <Health tone={tone} word={word} past={past} />;
}

function Vram({ gpu }: { gpu: Gpu }) {
  const full = share(gpu.memoryUsed, gpu.memoryTotal);
  const text = usedText(gpu.memoryUsed, gpu.memoryTotal);
  return <Gauge label={words.vram} value={full} text={text} />;
}

function Heat({ gpu }: { gpu: Gpu }) {
  const { temperature, slowdownAt } = gpu;
  const limit = slowdownAt ?? HOT_CELSIUS;
  const title = slowdownAt === null ? words.degradedFrom(limit) : words.slowdownAt(limit);
  if (temperature === null) {
    return <Gauge label={words.temperature} value={null} text={UNKNOWN} />;
  }
  return (
    <Gauge
      label={words.temperature}
      value={Math.min(1, Math.max(0, temperature / SCALE_CELSIUS))}
      text={words.degrees(Math.round(temperature))}
      tone={temperature >= limit ? "bad" : temperature >= limit - 5 ? "warn" : undefined}
      mark={Math.min(1, limit / SCALE_CELSIUS)}
      markTitle={title}
    />
  );
}

function Power({ gpu }: { gpu: Gpu }) {
  const { power, powerLimit } = gpu;
  const known = power !== null || powerLimit !== null;
  const text = powerLimit === null ? watts(power) : words.of(watts(power), watts(powerLimit));
  const full = share(power, powerLimit);
  const tone = full !== null && full >= NEAR ? "warn" : undefined;
  return <Gauge label={words.power} value={full} text={known ? text : UNKNOWN} tone={tone} />;
}

/** The part with the GPUs: what each does, what is wrong with it, and who has it. */

import "./gpus.css";
import { Copy, Notice, Said, type Tone } from "../parts";
import { gpus as words } from "../text/drawer";
import { count, percent, span, UNKNOWN, watts } from "../units";
import { usedText } from "./facts";
import { Gauge } from "./gauge";
import { GpuDetails } from "./gpudetails";
import { Holders } from "./gpuholders";
import type { Gpu, Verdict, Xid } from "./gpustatus";
import { Health } from "./health";
import type { Collector, Status } from "./status";
import { dateOf, share } from "./status";

const OPEN_MAX = 2;
/** So many GPUs are shown with all their details; of more one opens those that one wants. */

const HOT_CELSIUS = 90;
/** The agent calls a GPU degraded from here on (`TemperatureHigh`). */

const SCALE_CELSIUS = 110;
/** The end of the bar: no GPU that answers is hotter. */

const NEAR = 0.95;
/** Of VRAM and of the power limit: not wrong, and worth a look. */

const MODEL_MAX = 48;

export function Gpus({ status, nowMs }: { status: Status | null; nowMs: number }) {
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
        <GpuCard key={gpu.uuid ?? `#${position}`} gpu={gpu} open={open} nowMs={nowMs} />
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
    (one) => one.state !== "ok" && (one.reason || one.message),
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

function GpuCard({ gpu, open, nowMs }: { gpu: Gpu; open: boolean; nowMs: number }) {
  const index = gpu.index === null ? words.noIndex : String(gpu.index);
  return (
    <article class="gpu" data-testid="gpu-card" data-index={index}>
      <header class="gpu-head">
        <h4 class="gpu-name">
          <Said text={words.name(index, gpu.name ?? words.unknownModel)} max={MODEL_MAX} />
        </h4>
        <GpuHealth gpu={gpu} />
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

function GpuHealth({ gpu }: { gpu: Gpu }) {
  const health = gpu.health ?? "unknown";
  const word = Object.hasOwn(words.health, health) ? (words.health[health] ?? health) : health;
  return <Health tone={(Object.hasOwn(TONES, health) && TONES[health]) || "dim"} word={word} />;
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

/** What is wrong, the gravest first, with what to do; the driver's errors beside it. */
function Faults({ gpu, nowMs }: { gpu: Gpu; nowMs: number }) {
  const verdicts = gpu.verdicts ?? [];
  const xids = gpu.xids ?? [];
  const own = verdicts.length === 0 && gpu.health !== "ok" ? (gpu.message ?? gpu.reason) : null;
  if (verdicts.length === 0 && xids.length === 0 && own === null) return null;
  return (
    <div class="gpu-faults" data-tone={faultTone(verdicts, xids)}>
      {own === null ? null : (
        <p>
          <Said text={own} max={400} />
        </p>
      )}
      {verdicts.slice(0, 8).map((verdict, position) => (
        <p key={`${verdict.reason}${position}`}>
          <strong>
            <Said text={verdict.reason ?? UNKNOWN} max={64} />
          </strong>{" "}
          <Said text={verdict.message ?? ""} max={400} />{" "}
          {verdict.remedy ? <Said text={verdict.remedy} max={400} /> : null}
        </p>
      ))}
      {xids.length === 0 ? null : (
        <ul>
          {xids.slice(0, 12).map((xid, position) => (
            <li key={`${xid.xid}${position}`}>
              <Said text={xidText(xid, nowMs)} max={240} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function faultTone(verdicts: readonly Verdict[], xids: readonly Xid[]): Tone {
  const worst = new Set([...verdicts, ...xids].map((one) => one.severity));
  if (worst.has("fatal")) return "bad";
  return worst.has("info") && worst.size === 1 ? "dim" : "warn";
}

function xidText(xid: Xid, nowMs: number): string {
  const number = xid.xid === null ? UNKNOWN : String(xid.xid);
  const name = xid.name === null ? "" : ` (${xid.name})`;
  const last = dateOf(xid.lastAt);
  const ago = last === null || nowMs === 0 ? "" : words.lastAt(span((nowMs - last) / 1000));
  const often =
    xid.count === 1 ? words.xidOnce(number, name) : words.xid(number, name, count(xid.count));
  return `${often}${ago}`;
}

/** The rest of one GPU: clocks, errors, links, slices, processes. */

import type { ComponentChildren } from "preact";
import { Copy, Said } from "../parts";
import { drawer, gpus as words } from "../text/drawer";
import { bytes, count, UNKNOWN } from "../units";
import { usedText } from "./facts";
import type { Gpu, Link, Process } from "./gpu";
import { placeText } from "./gpuholders";

const ROWS_MAX = 64;
/** Slices and processes of one GPU. */

export function GpuDetails({ gpu }: { gpu: Gpu }) {
  return (
    <div class="gpu-details">
      <dl class="gpu-list">
        <Pair name={words.clocks}>{clocksText(gpu)}</Pair>
        <Pair name={words.throttle}>{throttleText(gpu.throttle)}</Pair>
        <Pair name={words.memoryTemperature}>
          {gpu.memoryTemperature === null ? UNKNOWN : words.degrees(gpu.memoryTemperature)}
        </Pair>
        <Pair name={words.ecc}>{eccText(gpu)}</Pair>
        <Pair name={words.remap}>{remapText(gpu)}</Pair>
        <Pair name={words.pcie}>{pcieText(gpu.pcie)}</Pair>
        <Pair name={words.nvlink}>
          {gpu.nvlinks === null
            ? UNKNOWN
            : words.nvlinkText(count(gpu.nvlinksUp), count(gpu.nvlinks))}
        </Pair>
        <Pair name={words.vendor}>
          <Said text={gpu.vendor ?? UNKNOWN} max={48} />
        </Pair>
        <Pair name={words.bus}>
          <Said text={gpu.bus ?? UNKNOWN} max={48} />
        </Pair>
        <Pair name={words.mig}>{migText(gpu)}</Pair>
        <Pair name={words.uuid} wide>
          <Said text={gpu.uuid ?? UNKNOWN} max={96} />
        </Pair>
      </dl>
      <Slices gpu={gpu} />
      <Processes processes={gpu.processes} />
    </div>
  );
}

function Pair(props: { name: string; wide?: boolean; children: ComponentChildren }) {
  return (
    <div class={props.wide ? "gpu-pair gpu-pair-wide" : "gpu-pair"}>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

function megahertz(value: number | null): string {
  return value === null ? UNKNOWN : words.megahertz(count(value));
}

function clocksText(gpu: Gpu): string {
  if (gpu.clock === null && gpu.memoryClock === null) return UNKNOWN;
  return words.clockPair(megahertz(gpu.clock), megahertz(gpu.memoryClock));
}

function throttleText(reasons: readonly string[] | null): ComponentChildren {
  if (reasons === null) return UNKNOWN;
  return reasons.length === 0 ? words.throttleNone : <Said text={reasons.join(", ")} max={160} />;
}

function eccText({ ecc, eccEnabled }: Gpu): string {
  if (eccEnabled === false) return words.eccOff;
  if (ecc === null) return UNKNOWN;
  const now = words.eccText(count(ecc.correctedVolatile), count(ecc.uncorrectedVolatile));
  if (ecc.correctedAggregate === null && ecc.uncorrectedAggregate === null) return now;
  return now + words.eccLife(count(ecc.correctedAggregate), count(ecc.uncorrectedAggregate));
}

function remapText(gpu: Gpu): string {
  if (gpu.remapFailed) return words.remapFailed;
  if (gpu.remapPending) return words.remapPending;
  return gpu.remapPending === null ? UNKNOWN : words.remapFine;
}

function pcieText(link: Link | null): string {
  if (link === null || (link.generation === null && link.width === null)) return UNKNOWN;
  return words.pcieText(
    ofMax(link.generation, link.generationMax),
    ofMax(link.width, link.widthMax),
  );
}

function ofMax(now: number | null, max: number | null): string {
  return max === null || max === now ? count(now) : words.pcieOf(count(now), count(max));
}

function migText(gpu: Gpu): string {
  if (gpu.slices !== null && gpu.slices.length > 0) return count(gpu.slices.length);
  if (gpu.migEnabled === null) return UNKNOWN;
  return gpu.migEnabled ? words.migNone : words.migOff;
}

function Slices({ gpu }: { gpu: Gpu }) {
  const slices = gpu.slices ?? [];
  if (slices.length === 0) return null;
  return (
    <div class="gpu-scroll">
      <table class="gpu-table">
        <caption>{words.slices}</caption>
        <thead>
          <tr>
            <th scope="col">{words.slice}</th>
            <th scope="col">{words.vram}</th>
            <th scope="col">{words.uuid}</th>
          </tr>
        </thead>
        <tbody>
          {slices.slice(0, ROWS_MAX).map((slice, position) => (
            <tr key={slice.uuid ?? `#${position}`}>
              <td>
                <Said text={slice.profile ?? UNKNOWN} max={48} />
              </td>
              <td>{usedText(slice.memoryUsed, slice.memoryTotal)}</td>
              <td>
                <Said text={slice.uuid ?? UNKNOWN} max={24} />
                {slice.uuid ? <Copy text={slice.uuid} label={words.copySlice} /> : null}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Processes({ processes }: { processes: readonly Process[] | null }) {
  if (processes === null) return <p class="gpu-soft">{words.processesUnknown}</p>;
  if (processes.length === 0) return <p class="gpu-soft">{words.processesNone}</p>;
  return (
    <div class="gpu-scroll">
      <table class="gpu-table">
        <caption>{words.processes}</caption>
        <thead>
          <tr>
            <th scope="col">{words.pid}</th>
            <th scope="col">{words.process}</th>
            <th scope="col">{words.pod}</th>
            <th scope="col" class="gpu-number">
              {words.vram}
            </th>
          </tr>
        </thead>
        <tbody>
          {processes.slice(0, ROWS_MAX).map((process, position) => (
            <tr key={`${process.pid}${position}`}>
              <td>{process.pid ?? UNKNOWN}</td>
              <td>
                <Said text={nameOf(process)} max={64} />
              </td>
              <td>
                <Said text={placeText(process) ?? words.outside} max={96} />
              </td>
              <td class="gpu-number">{bytes(process.memoryUsed)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {processes.length > ROWS_MAX ? (
        <p class="gpu-soft">{words.holderMore(processes.length - ROWS_MAX)}</p>
      ) : null}
    </div>
  );
}

function nameOf(process: Process): string {
  const name = process.name ?? drawer.unknown;
  return process.kind ? `${name} (${process.kind})` : name;
}

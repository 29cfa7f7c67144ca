/** The GPUs of a node, one cell each: height is memory, colour is utilization, marks are faults. */

import "./strip.css";
import { busyText, cellsOf, type GpuCell, gpuCount } from "../fleet/gpus";
import type { Row } from "../fleet/row";
import type { Trust } from "../fleet/staleness";
import { Said } from "../parts";
import { nodesText as words } from "../text/nodes";
import { percent, UNKNOWN } from "../units";
import { Flash } from "./flash";

const FIT = 16;
/** Cells that stand beside each other; of more than that the rest is counted. */

const LOWEST = 10;
/** Per cent of the height that a cell is filled at least, so that its colour can be seen. */

export function GpuStrip({ row, trusted }: { row: Row; trusted: Trust }) {
  const cells = cellsOf(row);
  if (cells.length === 0) return <NoGpus row={row} />;
  const text = busyText(row);
  const shown = cells.length > FIT ? cells.slice(0, FIT - 1) : cells;
  const rest = cells.slice(shown.length);
  return (
    <div class="strip" data-testid="gpu-strip" data-trust={trusted}>
      <div class="strip-cells" role="img" aria-label={words.stripLabel(text, faultsOf(cells))}>
        {shown.map((cell) => (
          <Cell key={cell.index} cell={cell} />
        ))}
        {rest.length > 0 ? (
          <span class="strip-rest" data-mark={worst(rest) || undefined} title={faultsOf(rest)}>
            {words.moreGpus(rest.length)}
          </span>
        ) : null}
      </div>
      <Flash text={text} class="strip-text" />
    </div>
  );
}

function Cell({ cell }: { cell: GpuCell }) {
  const { index, util, memory, band, mark } = cell;
  const height = memory === null ? 100 : Math.min(100, Math.max(LOWEST, memory));
  return (
    <i
      class={band === null ? "strip-cell strip-unknown" : "strip-cell"}
      data-testid="gpu-cell"
      data-band={band ?? undefined}
      data-mark={mark || undefined}
      data-open={memory === null ? "" : undefined}
      title={words.gpuTitle(index, of(util), of(memory), healthOf(mark))}
      style={{ "--full": `${height}%` }}
    />
  );
}

function of(value: number | null): string {
  return value === null ? UNKNOWN : percent(value / 100);
}

function healthOf(mark: GpuCell["mark"]): string {
  return mark === null ? UNKNOWN : words.health[mark];
}

function worst(cells: readonly GpuCell[]): number {
  return cells.reduce((most, { mark }) => Math.max(most, mark ?? 0), 0);
}

function faultsOf(cells: readonly GpuCell[]): string {
  const faults = cells.filter(({ mark }) => mark === 1 || mark === 2).length;
  return faults ? words.faults(faults) : "";
}

const ABOUT_GPUS = /gpu|nvml|driver|cuda|rocm|amdgpu/i;
/** Reasons that say why no GPU is there. */

/** Say what is known of the GPUs of a node that has none. */
export function noGpuText(row: Row): string {
  const why = [row.reason, row.message].find((text) => text && ABOUT_GPUS.test(text));
  if (why) return words.noGpu(row.message && ABOUT_GPUS.test(row.message) ? row.message : why);
  return gpuCount(row) === 0 ? words.noGpus : UNKNOWN;
}

function NoGpus({ row }: { row: Row }) {
  return (
    <span class="strip-none" data-testid="gpu-strip" title={words.noGpusWhy}>
      <Said text={noGpuText(row)} max={60} />
    </span>
  );
}

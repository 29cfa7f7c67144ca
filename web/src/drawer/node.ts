/** All that the drawer knows of the node that it shows. */

import { computed, effect, type ReadonlySignal, untracked } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { now } from "../fleet/clock";
import { type Row, rowOf } from "../fleet/row";
import { settings } from "../fleet/settings";
import { type Trust, trust } from "../fleet/staleness";
import { nodeSignal, shape } from "../fleet/store";
import { type Detail, readDetail } from "./detail";
import { Loader } from "./loader";
import { LiveQuestion } from "./question";
import type { Status } from "./status";

const REREAD_MS = 4000;
/** Between two readings of the details: a node that beats each 5 s is not read more often. */

const PATIENCE_MS = 1000;
/** The live answer is compared with the details; a slow reading of them does not hold it up. */

/** The figures that are shown, and whose they are. */
export interface Figures {
  readonly status: Status | null;
  readonly from: "live" | "heartbeat";
  /** Milliseconds of the server's clock. */
  readonly atMs: number | null;
}

export class OpenNode {
  readonly id: string;
  readonly detail: Loader<Detail>;
  readonly live: LiveQuestion;
  /** The row of the list, or that of the details; null: nobody knows the node. */
  readonly row: ReadonlySignal<Row | null>;
  readonly figures: ReadonlySignal<Figures>;
  readonly trust: ReadonlySignal<Trust>;
  /** Whether the figures are older than an interval. */
  readonly old: ReadonlySignal<boolean>;
  readonly intervalSeconds: ReadonlySignal<number>;
  #readAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(id: string) {
    this.id = id;
    this.detail = new Loader((signal) => readDetail(id, signal));
    this.live = new LiveQuestion(id);
    this.row = computed(() => {
      shape.value;
      const listed = nodeSignal(id)?.value;
      const told = this.detail.state.value.value?.node;
      return listed ?? (told ? rowOf(told) : null);
    });
    this.figures = computed(() => this.#figures());
    this.trust = computed(() => {
      const row = this.row.value;
      return row === null ? "never" : trust(row, now.value, settings.value);
    });
    this.old = computed(
      () => this.figures.value.from === "heartbeat" && this.trust.value !== "fresh",
    );
    this.intervalSeconds = computed(
      () =>
        this.detail.state.value.value?.status?.intervalSeconds ?? settings.value.intervalSeconds,
    );
  }

  /** Read, ask, and read again with each heartbeat; gives what ends it. */
  start(): () => void {
    let open = true;
    const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
    void Promise.race([this.detail.load(), patience]).then(() => {
      if (open) this.query();
    });
    const stop = effect(() => {
      const seen = this.row.value?.seenMs;
      if (seen !== undefined && seen !== null) untracked(() => this.#heartbeat(seen));
    });
    const left = this.#watchLeaving();
    return () => {
      open = false;
      stop();
      left();
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.detail.close();
      this.live.close();
    };
  }

  /** Ask the node itself. */
  query(): void {
    const state = this.live.state.peek();
    if (state.kind === "failed" && (state.retryAt ?? 0) > performance.now()) return;
    if (this.detail.state.peek().error?.status === 404) return;
    void this.live.ask(() => this.detail.state.peek().value?.message ?? null);
  }

  /** Read anew when the list loses the node: somebody gave it up, and its state says so. */
  #watchLeaving(): () => void {
    let listed = false;
    return effect(() => {
      shape.value;
      const now = nodeSignal(this.id) !== undefined;
      if (listed && !now) untracked(() => void this.detail.load());
      listed = now;
    });
  }

  #heartbeat(seenMs: number): void {
    const known = this.detail.state.peek().value;
    const before = known ? rowOf(known.node).seenMs : null;
    if (known === null || (before !== null && seenMs <= before) || this.#timer !== null) return;
    const rest = this.#readAt + REREAD_MS - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#readAt = performance.now();
        void this.detail.load();
      },
      Math.max(0, rest),
    );
  }

  #figures(): Figures {
    const heard = this.live.last.value;
    const detail = this.detail.state.value.value;
    const seenMs = detail ? rowOf(detail.node).seenMs : null;
    if (heard?.status && (heard.atMs ?? 0) >= (seenMs ?? 0)) {
      return { status: heard.status, from: "live", atMs: heard.atMs };
    }
    return { status: detail?.status ?? null, from: "heartbeat", atMs: seenMs };
  }
}

/** Open a node for as long as the component shows it. */
export function useNode(id: string): OpenNode {
  const node = useMemo(() => new OpenNode(id), [id]);
  useEffect(() => node.start(), [node]);
  return node;
}

/** One GPU as the drawer shows it; null is unknown. Ratios of 0 to 1, bytes, °C, W, MHz. */

export interface Slice {
  readonly uuid: string | null;
  readonly profile: string | null;
  readonly memoryUsed: number | null;
  readonly memoryTotal: number | null;
}

/** Who holds a GPU or a slice: the scheduler's view. */
export interface Holder {
  readonly device: string | null;
  readonly how: string | null;
  readonly namespace: string | null;
  readonly pod: string | null;
  readonly container: string | null;
  readonly processes: number | null;
  readonly memoryUsed: number | null;
  readonly idleSeconds: number | null;
}

/** What runs on it: the driver's view. */
export interface Process {
  readonly pid: number | null;
  readonly name: string | null;
  readonly kind: string | null;
  readonly memoryUsed: number | null;
  readonly namespace: string | null;
  readonly pod: string | null;
  readonly container: string | null;
}

export interface Xid {
  readonly xid: number | null;
  readonly count: number | null;
  readonly lastAt: string | null;
  readonly name: string | null;
  readonly severity: string | null;
}

export interface Verdict {
  readonly reason: string | null;
  readonly severity: string | null;
  readonly message: string | null;
  readonly remedy: string | null;
}

export interface Ecc {
  readonly correctedVolatile: number | null;
  readonly uncorrectedVolatile: number | null;
  readonly correctedAggregate: number | null;
  readonly uncorrectedAggregate: number | null;
}

export interface Link {
  readonly generation: number | null;
  readonly generationMax: number | null;
  readonly width: number | null;
  readonly widthMax: number | null;
}

export interface Gpu {
  readonly index: number | null;
  readonly name: string | null;
  readonly vendor: string | null;
  readonly uuid: string | null;
  readonly bus: string | null;
  readonly driver: string | null;
  readonly health: string | null;
  readonly reason: string | null;
  readonly message: string | null;
  /** Age of the values, if they are not fresh. */
  readonly ageSeconds: number | null;
  /** Ratios of 0 to 1, bytes, °C, W, MHz. */
  readonly util: number | null;
  readonly memoryUsed: number | null;
  readonly memoryTotal: number | null;
  readonly temperature: number | null;
  /** Where the GPU itself says that it slows down; few say it. */
  readonly slowdownAt: number | null;
  readonly memoryTemperature: number | null;
  readonly power: number | null;
  readonly powerLimit: number | null;
  readonly clock: number | null;
  readonly memoryClock: number | null;
  readonly throttle: readonly string[] | null;
  readonly eccEnabled: boolean | null;
  readonly ecc: Ecc | null;
  readonly remapPending: boolean | null;
  readonly remapFailed: boolean | null;
  readonly pcie: Link | null;
  readonly nvlinks: number | null;
  readonly nvlinksUp: number | null;
  readonly migEnabled: boolean | null;
  readonly slices: readonly Slice[] | null;
  readonly holders: readonly Holder[] | null;
  /** Null: the driver does not say; empty: nothing runs. */
  readonly processes: readonly Process[] | null;
  readonly xids: readonly Xid[] | null;
  readonly verdicts: readonly Verdict[] | null;
}

/** Figures as people read them: one decimal at most, and a word where nobody knows. */

export const UNKNOWN = "unknown";
/** Never 0, never blank. */

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

const ROUNDED = 1024 / 1023.95;
/** From 1023.95 on one decimal reads 1,024. */

function finite(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

const oneDecimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Bytes in the unit that leaves 1 to 1023. */
export function bytes(value: number | null | undefined): string {
  if (!finite(value) || value < 0) return UNKNOWN;
  // Looked at as it will be written: 1023.99 GiB is 1 TiB.
  const power =
    value < 1 ? 0 : Math.min(Math.floor(Math.log2(value * ROUNDED) / 10), SIZES.length - 1);
  return `${oneDecimal.format(value / 1024 ** power)} ${SIZES[power]}`;
}

/** A ratio of 0 to 1 as per cent. */
export function percent(ratio: number | null | undefined): string {
  return finite(ratio) ? `${whole.format(ratio * 100)} %` : UNKNOWN;
}

/** Watts, in kilowatts from 10,000 on. */
export function watts(value: number | null | undefined): string {
  if (!finite(value)) return UNKNOWN;
  return value < 9_999.5 ? `${whole.format(value)} W` : `${oneDecimal.format(value / 1000)} kW`;
}

/** A count, with separators. */
export function count(value: number | null | undefined): string {
  return finite(value) ? whole.format(value) : UNKNOWN;
}

const STEPS: readonly (readonly [number, string])[] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Seconds in the largest unit of which there is one: `14 min`. */
export function span(seconds: number | null | undefined): string {
  if (!finite(seconds)) return UNKNOWN;
  const length = Math.max(0, seconds);
  for (const [size, name] of STEPS) {
    if (length >= size) return `${Math.floor(length / size)} ${name}`;
  }
  return "0 s";
}

/** A moment in full, for tooltips. */
export function moment(ms: number | null | undefined): string {
  return finite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : UNKNOWN;
}

/** An RFC 3339 moment in milliseconds; null: there is none that a calendar has. */
export function dateOf(text: string | null | undefined): number | null {
  const ms = text ? Date.parse(text) : Number.NaN;
  return Number.isFinite(ms) ? ms : null;
}

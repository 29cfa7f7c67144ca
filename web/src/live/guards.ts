/** Looks at single values from outside: what is not of its kind is null, as if nobody had said it. */

import { dateOf } from "../units";

export type Raw = Readonly<Record<string, unknown>>;

export const TEXT_MAX = 1024;
/** Longest text that is kept, in characters; statuses themselves allow no longer ones. */

const MOMENT_MAX = 64;
/** Longest moment, in characters: RFC 3339 with nanoseconds has 35. */

/** Whether this is an object, and no array. */
export function isObject(value: unknown): value is Raw {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** A text, cut where it is too long, never through a pair of surrogates. */
export function text(value: unknown, most: number = TEXT_MAX): string | null {
  if (typeof value !== "string") return null;
  if (value.length <= most) return value;
  const last = value.charCodeAt(most - 2);
  const whole = last >= 0xd800 && last <= 0xdbff ? most - 2 : most - 1;
  return `${value.slice(0, whole)}…`;
}

/** A moment that a calendar has, as it was said. */
export function momentText(value: unknown): string | null {
  if (typeof value !== "string" || value.length > MOMENT_MAX) return null;
  return dateOf(value) === null ? null : value;
}

/** A number that is not negative. */
export function nonNegative(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

/** A whole number that is not negative. */
export function unsigned(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
}

/** A ratio: over 1 is 1, since sums are rounded. */
export function ratio(value: unknown): number | null {
  const known = nonNegative(value);
  return known === null ? null : Math.min(1, known);
}

/** The first items of an array; null: it is none. */
export function listOf(value: unknown, most: number): unknown[] | null {
  return Array.isArray(value) ? value.slice(0, most) : null;
}

/** A key with its value, or none where there is no value. */
export function given<K extends string, V>(
  key: K,
  value: V | null | undefined,
): { [key in K]?: V } {
  return value === null || value === undefined ? {} : ({ [key]: value } as { [key in K]: V });
}

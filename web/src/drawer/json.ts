/** Looking into what nodes said: any key may be missing, of another kind, or hostile. */

import { isObject, listOf, nonNegative, type Raw } from "../live/guards";

/** Every list that is read is cut here: a node that sends ten thousand rows must not stop the page. */
export const LIST_MAX = 512;

const NOTHING: Raw = Object.freeze({});

/** An object's own keys; nothing for what is none. */
export function bag(value: unknown): Raw {
  return isObject(value) ? value : NOTHING;
}

/** One key of an object; inherited names (`constructor`) are none. */
export function at(from: unknown, key: string): unknown {
  const held = bag(from);
  return Object.hasOwn(held, key) ? held[key] : undefined;
}

/** A text that says something, or null. */
export function textAt(from: unknown, key: string): string | null {
  const value = at(from, key);
  return typeof value === "string" && value.trim() !== "" ? value : null;
}

/** A finite number, or null. */
export function numberAt(from: unknown, key: string): number | null {
  const value = at(from, key);
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** A finite number that is not negative: -1 is an old word for unknown. */
export function sizeAt(from: unknown, key: string): number | null {
  return nonNegative(at(from, key));
}

/** A size in bytes, of one that is told in another unit. */
export function bytesAt(from: unknown, unit: number, key: string): number | null {
  const value = sizeAt(from, key);
  return value === null ? null : value * unit;
}

export function flagAt(from: unknown, key: string): boolean | null {
  const value = at(from, key);
  return typeof value === "boolean" ? value : null;
}

/** A list, cut; null where there is none, which is not the same as an empty one. */
export function listAt(from: unknown, key: string): readonly unknown[] | null {
  return listOf(at(from, key), LIST_MAX);
}

/** The texts of a list; null where there is none. */
export function textsAt(from: unknown, key: string): readonly string[] | null {
  const list = listAt(from, key);
  if (list === null) return null;
  return list.filter((item): item is string => typeof item === "string" && item !== "");
}

/** The objects of a list, read one by one; null where there is no list. */
export function readAll<T>(from: unknown, key: string, read: (item: unknown) => T): T[] | null {
  const list = listAt(from, key);
  if (list === null) return null;
  return list.filter(isObject).map(read);
}

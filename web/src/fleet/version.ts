/** `version:<1.2`: versions compared by their numbers, as the API does. */

import type { Row } from "./row";

const ASKED = /^(<=|>=|<|>|=)?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})$/;
const NUMBERS = /^v?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})/;

const PARTS = 4;
/** Numbers of a version that count; those that are not there are 0. */

/** Give the test of an agent's version; without a sign the text begins with it. */
export function versionTest(text: string): (row: Row) => boolean {
  const asked = ASKED.exec(text);
  if (asked === null) {
    const folded = text.toLowerCase();
    return (row) => (row.profile.agent ?? "").toLowerCase().includes(folded);
  }
  const sign = asked[1];
  const wanted = numbersOf(asked[2] ?? "");
  return (row) => {
    const agent = row.profile.agent;
    if (!agent) return false;
    if (sign === undefined) return agent.replace(/^v+/, "").startsWith(text);
    return holds(sign, compareNumbers(numbersOf(agent), wanted));
  };
}

/** Compare two versions by their numbers: less than, equal to or more than 0. */
export function compareVersions(one: string, other: string): number {
  return compareNumbers(numbersOf(one), numbersOf(other));
}

function holds(sign: string, order: number): boolean {
  if (order === 0) return sign.includes("=");
  return order < 0 ? sign.startsWith("<") : sign.startsWith(">");
}

function numbersOf(version: string): number[] {
  const found = NUMBERS.exec(version)?.[1]?.split(".").map(Number) ?? [];
  return [...found, 0, 0, 0, 0].slice(0, PARTS);
}

function compareNumbers(one: readonly number[], other: readonly number[]): number {
  for (let place = 0; place < PARTS; place += 1) {
    const difference = (one[place] ?? 0) - (other[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

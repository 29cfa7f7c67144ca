import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const TEXT = 4.5;
const MARK = 3;
// WCAG 2.2: 1.4.3 for text, 1.4.11 for what else has to be seen.

const STEP = 1.2;
// Between neighbouring bands; hue plays no part in it, and so no kind of colour blindness does.

const css = readFileSync("src/style/tokens.css", "utf8");
const colours = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(
    ([, name, light, dark]) => [name, [light, dark] as const],
  ),
);

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string, theme: 0 | 1): number {
  const [a, b] = [one, other].map((name) => {
    const colour = colours.get(name)?.[theme];
    if (!colour) throw new Error(`no colour --${name}`);
    return luminance(colour);
  }) as [number, number];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

const GROUNDS = ["ground", "surface", "raised"];
const TONES = ["good", "warn", "bad", "calm", "dim"];

const texts = [
  ...["ink", "ink-soft"].flatMap((ink) =>
    [...GROUNDS, "accent-faint", ...TONES.map((tone) => `${tone}-faint`)].map((on) => [ink, on]),
  ),
  ...["accent", ...TONES].flatMap((tone) => GROUNDS.map((on) => [tone, on])),
  ...TONES.map((tone) => [tone, `${tone}-faint`]),
  ["accent", "accent-faint"],
  ["on-accent", "accent"],
] as [string, string][];

const marks = [
  ...["line-strong", "band-4", "band-5"].flatMap((mark) =>
    ["ground", "surface"].map((on) => [mark, on]),
  ),
  ...["warn", "bad"].flatMap((mark) => ["raised", "surface"].map((on) => [mark, on])),
] as [string, string][];

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("in the %s theme", (_, theme) => {
  test.each(texts)("--%s can be read on --%s", (ink, ground) => {
    expect(contrast(ink, ground, theme)).toBeGreaterThanOrEqual(TEXT);
  });

  test.each(marks)("--%s can be seen on --%s", (mark, ground) => {
    expect(contrast(mark, ground, theme)).toBeGreaterThanOrEqual(MARK);
  });

  test.each([1, 2, 3, 4])("band %i is told from the next by lightness alone", (band) => {
    expect(contrast(`band-${band}`, `band-${band + 1}`, theme)).toBeGreaterThanOrEqual(STEP);
  });
});

import { expect, test } from "vitest";
import { bytes, percent, span, watts } from "../src/units";

test("what nobody knows is unknown and never zero", () => {
  for (const nothing of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect([bytes(nothing), percent(nothing), watts(nothing), span(nothing)]).toEqual(
      Array(4).fill("unknown"),
    );
  }
});

test("figures have one decimal at most, in the largest unit that fits", () => {
  expect(bytes(0)).toBe("0 B");
  expect(bytes(85_899_345_920)).toBe("80 GiB");
  expect(bytes(1023)).toBe("1,023 B");
  expect(bytes(1023.99 * 1024 ** 3)).toBe("1 TiB");
  expect(bytes(1024 ** 7)).toBe("1,048,576 PiB");
  expect(watts(9999.7)).toBe("10 kW");
  expect(bytes(1.25 * 1024 ** 4)).toBe("1.3 TiB");
  expect(percent(0.714)).toBe("71 %");
  expect(watts(12_345)).toBe("12.3 kW");
  expect(span(899)).toBe("14 min");
});

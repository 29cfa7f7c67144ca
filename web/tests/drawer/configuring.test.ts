import { describe, expect, it } from "vitest";
import { skewText } from "../../src/drawer/beatstrip";
import { parseConfig } from "../../src/drawer/configuring";
import { usedText } from "../../src/drawer/facts";

describe("a configuration that somebody typed", () => {
  it("is an object, or says what it is not", () => {
    expect(parseConfig('{"intervalSeconds": 15}')).toEqual({
      ok: true,
      value: { intervalSeconds: 15 },
    });
    expect(parseConfig("[1]")).toEqual({ ok: false, why: null });
    expect(parseConfig("null")).toEqual({ ok: false, why: null });
    expect(parseConfig("{").ok).toBe(false);
  });
});

describe("figures of the drawer", () => {
  it("name a common unit once, and what is unknown as unknown", () => {
    const gib = 1024 ** 3;
    expect(usedText(21 * gib, 40 * gib)).toBe("21 of 40 GiB");
    expect(usedText(gib / 2, 40 * gib)).toBe("512 MiB of 40 GiB");
    expect(usedText(null, 40 * gib)).toBe("unknown of 40 GiB");
    expect(usedText(gib, null)).toBe("1 GiB of unknown");
    expect(usedText(null, null)).toBe("unknown");
    expect(usedText(0, 40 * gib)).toBe("0 B of 40 GiB");
  });

  it("say how far a clock is off, and which way", () => {
    expect(skewText(null)).toBeNull();
    expect(skewText(0.01)).toBe("in step");
    expect(skewText(0.12)).toBe("0.1 s ahead");
    expect(skewText(-75)).toBe("1 min behind");
  });
});

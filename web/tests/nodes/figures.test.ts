import { expect, test } from "vitest";
import {
  kindsOf,
  shortGpu,
  shortModel,
  usedOf,
  vramRatio,
  vramText,
} from "../../src/nodes/figures";
import { noGpuText } from "../../src/nodes/strip";
import { row as make, type Part } from "../fleet/make";

const GIB = 1024 ** 3;
const row = (part: Part) => make("a", part);

test("used memory is told in the unit of the whole, the unit once", () => {
  expect(usedOf(412 * GIB, 640 * GIB)).toBe("412 of 640 GiB");
  expect(usedOf(512 * GIB, 1536 * GIB)).toBe("0.5 of 1.5 TiB");
  expect(usedOf(0, 80 * GIB)).toBe("0 of 80 GiB");
});

test("memory of which a part is not known is unknown as a whole", () => {
  const gpu: [number, number | null, number][] = [
    [1, 50, 0],
    [1, null, 0],
  ];
  const one = row({ pulse: { gpu }, profile: { vramBytes: 160 * GIB } });
  expect(vramRatio(one)).toBeNull();
  expect(vramText(one)).toBe("unknown of 160 GiB");
});

test("without a total there is the ratio, and without both nothing is known", () => {
  expect(vramText(row({ pulse: { gpu: [[1, 25, 0]] } }))).toBe("25 %");
  expect(vramText(row({}))).toBe("unknown");
});

test("a node of several kinds of GPUs tells the first and how many more", () => {
  const gpus = [
    { model: "NVIDIA H100", count: 6 },
    { model: "NVIDIA L4", count: 2 },
  ];
  expect(kindsOf(row({ profile: { gpus } }))).toEqual({
    lead: "6 ×",
    model: "H100",
    more: ", +1 kind",
    title: "6 × NVIDIA H100\n2 × NVIDIA L4",
  });
  expect(kindsOf(row({}))).toBeNull();
});

test("a short name is never empty", () => {
  expect([shortModel("meta-llama/Llama-3"), shortModel("x/"), shortModel("")]).toEqual([
    "Llama-3",
    "x/",
    "",
  ]);
  expect([shortGpu("NVIDIA L4"), shortGpu("NVIDIA "), shortGpu("Foo 9")]).toEqual([
    "L4",
    "NVIDIA ",
    "Foo 9",
  ]);
});

test("a node without GPUs says why where that is known", () => {
  expect(noGpuText(row({ profile: { gpus: [] } }))).toBe("no GPUs reported");
  expect(noGpuText(row({}))).toBe("unknown");
  const why: Part = { state: "Degraded", reason: "DriverMissing", profile: { gpus: [] } };
  expect(noGpuText(row(why))).toBe("no GPU: DriverMissing");
  expect(noGpuText(row({ ...why, message: "NVML: no driver is loaded" }))).toBe(
    "no GPU: NVML: no driver is loaded",
  );
});

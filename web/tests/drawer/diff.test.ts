import { describe, expect, it } from "vitest";
import { differences, shown } from "../../src/drawer/diff";

const gpu = (index: number, more: object) => ({ index, name: "H100", ...more });

describe("what changed since the last heartbeat", () => {
  it("is told figure by figure, in the figure's unit", () => {
    const cached = { status: { gpu: [gpu(0, { utilization_percent: 5, memory_used_mb: 1024 })] } };
    const live = { status: { gpu: [gpu(0, { utilization_percent: 93, memory_used_mb: 2048 })] } };
    expect(differences(cached, live)).toEqual([
      {
        path: "GPU 0 · utilization",
        key: "gpu 0.utilization_percent",
        cached: "5 %",
        live: "93 %",
      },
      { path: "GPU 0 · memory used", key: "gpu 0.memory_used_mb", cached: "1 GiB", live: "2 GiB" },
    ]);
  });

  it("finds the same element wherever it stands", () => {
    const [a, b] = [gpu(0, { power_watts: 1 }), gpu(1, { power_watts: 2 })];
    expect(differences({ gpu: [a, b] }, { gpu: [b, a] })).toEqual([]);
  });

  it("tells what came and what went in one line each", () => {
    const found = differences(
      { status: { services: [{ name: "old_one", port: 1 }] } },
      { status: { services: [{ name: "new", port: 2 }] } },
    );
    expect(found.map(({ path, cached, live }) => [path, cached, live])).toEqual([
      ["services new", null, "{name, port}"],
      ["services old_one", "{name, port}", null],
    ]);
  });

  it("says what is not told any more, never 0", () => {
    const found = differences({ system: { cpu_percent: 3 } }, { system: {} });
    expect(found).toMatchObject([{ cached: "3 %", live: null }]);
  });

  it("leaves clocks and counters out that always move", () => {
    const at = (n: number) => ({
      timestamp: `t${n}`,
      node: { uptime_seconds: n },
      gpu: [gpu(0, { energy_joules: n, age_seconds: n })],
    });
    expect(differences(at(1), at(2))).toEqual([]);
  });

  it("leaves out what is alike to the eye", () => {
    const at = (value: number) => ({ system: { memory_used_gb: value } });
    expect(differences(at(12.50001), at(12.50002))).toEqual([]);
  });

  it("compares an envelope with a bare status", () => {
    const bare = { system: { cpu_percent: 1 } };
    expect(differences({ bootId: "b", status: bare }, bare)).toEqual([]);
  });

  it("comes to an end with hostile answers", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 150; level += 1) deep = { a: deep };
    const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`k${n}`, n]));
    const found = differences({}, { deep, many: { many } });
    expect(found.length).toBeLessThanOrEqual(2000);
    expect(differences("x", null)).toHaveLength(1);
  });

  it("gives lists of words as words, and of things as their number", () => {
    expect(shown(["a", "b"], "models")).toBe("a, b");
    expect(shown([{}, {}], "x")).toBe("[2]");
    expect(shown([], "models")).toBe("[]");
    expect(shown("x".repeat(500), "message")?.length).toBeLessThan(140);
    expect(shown(-1, "cpu_percent")).toBe("unknown");
    expect(shown(true, "mig_enabled")).toBe("yes");
  });
});

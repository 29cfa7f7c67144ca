import { describe, expect, it } from "vitest";
import { toneOf } from "../../src/drawer/servicestatus";
import { ratio, readStatus, share } from "../../src/drawer/status";
import { dateOf } from "../../src/units";

const ENVELOPE = {
  version: "1.0",
  bootId: "b",
  intervalSeconds: 15,
  agent: { version: "0.1.0", transport: "websocket" },
  addresses: ["100.64.0.1", "100.64.0.1"],
  statusPort: 9100,
  status: {
    timestamp: "2026-11-24T00:00:00Z",
    node: { name: "gpu-1", display_name: "Rack 7", network_ip: "10.0.0.1" },
    system: { cpu_percent: 15, cpu_count: 96, memory_used_gb: 1, memory_total_gb: 4 },
    gpu: [
      { index: 1, name: "H100" },
      { index: 0, name: "H100", utilization_percent: 93, memory_used_mb: 1024, uuid: "GPU-0" },
    ],
    services: [{ name: "vllm", type: "llm", status: "running", port: 8000, models: ["a", "b"] }],
  },
};

describe("reading a status", () => {
  it("looks into the envelope", () => {
    const status = readStatus(ENVELOPE);
    expect(status).toMatchObject({
      name: "Rack 7",
      transport: "websocket",
      agent: "0.1.0",
      intervalSeconds: 15,
      addresses: ["100.64.0.1", "10.0.0.1"],
      statusPort: 9100,
    });
    expect(status?.system).toMatchObject({ cpu: 0.15, cores: 96, memoryUsed: 1024 ** 3 });
  });

  it("takes the bare status that the oldest nodes send", () => {
    const status = readStatus(ENVELOPE.status);
    expect(status).toMatchObject({ name: "Rack 7", agent: null, intervalSeconds: null });
    expect(status?.gpus).toHaveLength(2);
  });

  it("puts GPUs in the order of their indexes, and leaves what is absent unknown", () => {
    const [first, second] = readStatus(ENVELOPE)?.gpus ?? [];
    expect(first).toMatchObject({ index: 0, util: 0.93, memoryUsed: 1024 ** 3, power: null });
    expect(second).toMatchObject({ index: 1, util: null, memoryUsed: null, processes: null });
  });

  it("tells no GPUs from nothing said of GPUs", () => {
    const without = (gpu: unknown) => readStatus({ status: { node: {}, system: {}, gpu } })?.gpus;
    expect(without([])).toEqual([]);
    expect(without(null)).toEqual([]);
    expect(without(undefined)).toBeNull();
    expect(without("many")).toBeNull();
  });

  it("keeps a real zero", () => {
    const status = readStatus({ status: { gpu: [{ index: 0, utilization_percent: 0 }] } });
    expect(status?.gpus?.[0]?.util).toBe(0);
  });

  it("takes the old word -1 for unknown", () => {
    const told = { gpu: [{ index: 0, utilization_percent: -1, power_watts: -1 }] };
    expect(readStatus({ status: told })?.gpus?.[0]).toMatchObject({ util: null, power: null });
  });

  it("knows which models are in memory only if the service says so", () => {
    const service = (more: object) =>
      readStatus({ status: { services: [{ name: "v", models: ["a", "b", "a"], ...more }] } })
        ?.services?.[0]?.models;
    expect(service({})).toEqual([
      { name: "a", loaded: null, adapter: false },
      { name: "b", loaded: null, adapter: false },
    ]);
    expect(service({ loaded_models: ["b"], adapters: ["b"] })).toEqual([
      { name: "a", loaded: false, adapter: false },
      { name: "b", loaded: true, adapter: true },
    ]);
  });

  it("survives what is of any other kind", () => {
    for (const odd of [null, 7, "x", [], {}, true]) expect(readStatus(odd)).toBeNull();
    const odd = { status: { node: 7, system: [], gpu: [null, 3, { index: "0", name: {} }] } };
    expect(readStatus({ ...odd, agent: "x", addresses: {} })).toMatchObject({
      name: null,
      addresses: [],
      gpus: [{ index: null, name: null }],
    });
  });

  it("reads own keys alone", () => {
    const message = JSON.parse('{"__proto__": {"bootId": "x"}, "status": {"node": {"name": "n"}}}');
    expect(readStatus(message)).toMatchObject({ name: "n", bootId: null });
  });

  it("cuts endless lists", () => {
    const gpu = Array.from({ length: 5000 }, (_, index) => ({ index }));
    expect(readStatus({ status: { gpu } })?.gpus?.length).toBeLessThan(1000);
  });
});

describe("ratios and dates", () => {
  it("are unknown where they make no sense", () => {
    expect([ratio(50), ratio(101), ratio(-1), ratio(null)]).toEqual([0.5, null, null, null]);
    expect([share(1, 4), share(9, 4), share(1, 0), share(null, 4)]).toEqual([0.25, 1, null, null]);
    expect([dateOf("2026-11-24T00:00:00Z"), dateOf("soon"), dateOf(null)]).toEqual([
      1_795_478_400_000,
      null,
      null,
    ]);
  });
});

describe("a service's tone", () => {
  it("is good by its health alone, not by running", () => {
    expect(toneOf({ health: "ok", status: "running" })).toBe("good");
    expect(toneOf({ health: null, status: "running" })).toBe("dim");
    expect(toneOf({ health: "unknown", status: "stopped" })).toBe("bad");
    expect(toneOf({ health: "never heard of", status: "running" })).toBe("bad");
  });
});

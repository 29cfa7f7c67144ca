"""Rows and details of a made-up fleet, in the shapes of the API: varied, with gaps, and hostile."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
"""The server's clock where a test does not say another."""

GIB = 1024**3
GPUS = (
    ("NVIDIA H100 80GB HBM3", 80, "nvidia"),
    ("NVIDIA A100-SXM4-40GB", 40, "nvidia"),
    ("AMD Instinct MI300X", 192, "amd"),
    ("NVIDIA L4", 24, "nvidia"),
    ("Intel Data Center GPU Max 1550", 128, "intel"),
)
MODELS = (
    "meta-llama/Llama-3.1-70B-Instruct",
    "Qwen/Qwen2.5-32B-Instruct-AWQ",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "google/gemma-2-27b-it",
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
)
STATES = (
    *(("Online", None, None, 4),) * 12,
    ("Degraded", "GpuLost", "GPU 3 fell off the bus (Xid 79); drain the node and reset it", 4),
    ("Degraded", "ServiceUnhealthy", "vllm on port 8000 refuses connections", 4),
    ("Stale", "HeartbeatLate", "no heartbeat for 61 s", 61),
    ("Offline", "AgentSilent", "no heartbeat for 14 min; the node refuses connections", 840),
    ("Draining", "Terminating", "said goodbye", 20),
    ("Unknown", "NeverReported", None, None),
)
EVIL = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "\u202egnp.exe\u202c\u2066isolated\u2069",
    "a" * 10_000,
    "👩‍👩‍👧‍👦🏴‍☠️" * 20,
    "Z\u0351\u036b\u0343\u036a\u0302\u036b" * 40,
    "bell\x07 escape\x1b[31m tab\t newline\n del\x7f",
    "';DROP TABLE nodes;--",
    "__proto__",
)
"""Texts that somebody may send as a name: markup, overrides, floods, controls (and no NUL)."""

PEOPLE = [
    {"userId": "u1", "name": "Ada", "email": "ada@example.org", "role": "admin"},
    {"userId": "u2", "name": "Grace", "email": None, "role": "viewer"},
]

CLUSTER = {
    "clusterId": "prod-eu",
    "issuer": "https://kubernetes.default.svc.cluster.local",
    "audience": "citadel",
    "serviceAccounts": ["citadel:citadel-agent"],
    "keys": ["k1"],
}


def rfc(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fleet(nodes: int = 40, gpus: int = 8, seed: int = 1, now: datetime = NOW) -> list[Row]:
    """Give rows of a list: all states, several models and makers, and things not known."""
    dice = random.Random(seed)
    return [_row(dice, number, gpus, now) for number in range(nodes)]


def _row(dice: random.Random, number: int, gpus: int, now: datetime) -> Row:
    state, reason, message, age = STATES[number % len(STATES)]
    name = f"gpu-node-{number:04d}"
    model, memory, _ = GPUS[(number // 7) % len(GPUS)]
    row: Row = {"id": name, "state": state, "profile": {"name": name}, "pulse": {}}
    if reason:
        row |= {"reason": reason} | ({"message": message} if message else {})
    if age is None:
        return row
    seen = now - timedelta(seconds=age + dice.random() * 8)
    row["lastHeartbeat"], row["age"] = rfc(seen), round((now - seen).total_seconds(), 1)
    row["since"] = rfc(seen if state == "Offline" else now - timedelta(hours=dice.random() * 99))
    row["profile"] |= {
        "address": f"100.64.{number // 250}.{number % 250 + 1}",
        "agent": dice.choice(("0.1.0", "0.1.0", "0.0.9")),
        "gpus": [{"model": model, "count": gpus}],
        "vramBytes": memory * GIB * gpus,
        "memoryBytes": 512 * GIB,
        "models": dice.sample(MODELS, dice.choice((0, 1, 1, 1, 2, 5))),
        "services": dice.randint(1, 3),
        "driver": "570.86.15",
    }
    row["pulse"] = _pulse(dice, gpus, failed=reason == "GpuLost")
    return _with_gaps(row, number)


def _pulse(dice: random.Random, gpus: int, *, failed: bool) -> Row:
    used = [[dice.randint(0, 100), dice.randint(1, 100), 0] for _ in range(gpus)]
    if failed and gpus > 3:
        used[3] = [None, None, 2]
    return {
        "cpu": round(dice.random(), 3),
        "memory": round(dice.uniform(0.1, 0.9), 3),
        "disk": round(dice.uniform(0.2, 0.95), 3),
        "power": round(gpus * dice.uniform(90, 650)),
        "gpu": used,
        "running": float(dice.randint(0, 40)),
        "waiting": float(dice.choice((0, 0, 0, 3))),
    }


def _with_gaps(row: Row, number: int) -> Row:
    """Take away what an older or a plainer node does not say."""
    match number % 20 if row["state"] == "Online" else 0:
        case 5:  # a Go node: no agent's version, no power, an unknown GPU
            del row["profile"]["agent"], row["pulse"]["power"]
            row["pulse"]["gpu"][0] = [None, 40, None]
        case 6:  # no GPU at all
            row["profile"] |= {"gpus": [], "models": []}
            del row["profile"]["vramBytes"]
            row["pulse"] |= {"gpu": []}
        case 8:  # nobody knows of GPUs: the driver gives no answer
            for key in ("gpus", "vramBytes", "models"):
                del row["profile"][key]
            del row["pulse"]["gpu"]
        case 9:
            row["labels"] = {"rack": "b12", "zone": "eu-west-1a"}
            row["headscaleId"] = str(number)
    return row


def hostile(rows: list[Row]) -> list[Row]:
    """Give the same rows with texts from somebody who means harm; ids stay what they must be."""
    return [_hostile(row, number) for number, row in enumerate(rows)]


def _hostile(row: Row, number: int) -> Row:
    def evil(more: int) -> str:
        return EVIL[(number + more) % len(EVIL)]

    profile = row["profile"] | {
        "name": evil(0),
        "address": evil(1)[:200],
        "agent": evil(2)[:200],
        "gpus": [{"model": evil(3), "count": 8}],
        "models": [evil(4), evil(5), evil(6)],
        "driver": evil(7)[:200],
        "transport": evil(8)[:200],
    }
    changed = row | {"profile": profile, "reason": evil(9), "message": evil(10)}
    changed |= {"labels": {evil(0)[:200]: evil(11)}, "headscaleId": evil(1)[:200]}
    if number % 5 == 4:
        changed["state"] = "Quantum<b>State</b>"
    return changed


def detail(row: Row, now: datetime = NOW) -> Row:
    """Give one node as the API does: its row, and the last status as it travelled."""
    pulse, profile = row["pulse"], row["profile"]
    told: Row = {
        "node": row,
        "complete": bool(pulse),
        "config": {"intervalSeconds": 30},
        "skewSeconds": 0.12,
        "beats": _beats(row, now),
    }
    if not pulse:
        return told
    kind = (profile.get("gpus") or [{"model": None, "count": 0}])[0]
    status = {
        "version": "1.0",
        "timestamp": row["lastHeartbeat"],
        "node": {"name": profile["name"], "uptime_seconds": 8123, "network_ip": "100.64.0.7"},
        "system": _system(pulse),
        "gpu": [
            _gpu(index, kind["model"], told_of)
            for index, told_of in enumerate(pulse.get("gpu") or [])
        ],
        "services": _services(profile.get("models") or []),
        "containers": [_container()],
        "collectors": [
            {"name": "nvml", "state": "ok", "age_seconds": 0.4},
            {"name": "pods", "state": "absent", "reason": "NoSocket", "message": "no kubelet"},
        ],
        "config": {"revision": "r7", "applied_at": row["lastHeartbeat"]},
        "truncated": [],
        "vnc_port": 0,
    }
    message = {
        "version": "1.0",
        "timestamp": row["lastHeartbeat"],
        "nodeId": row["id"],
        "status": status,
        "bootId": "6f1c2b7a-0d1e-4f58-9a77-2d1d8a3b5c4e",
        "seq": 271,
        "intervalSeconds": 30,
        "agent": {"version": profile.get("agent"), "transport": "redis"},
        "addresses": [profile.get("address")],
    }
    return told | {"status": message}


def _beats(row: Row, now: datetime) -> list[list[int | None]]:
    """Sixty arrivals: one late, two missed."""
    if "age" not in row:
        return []
    last = now.timestamp() * 1000 - row["age"] * 1000
    spans = [30_000] * 60
    spans[10], spans[30] = 47_000, 90_000
    beats: list[list[int | None]] = []
    for number, span in enumerate(spans):
        beats.insert(0, [round(last), 271 - number])
        last -= span
    return beats


def _system(pulse: Row) -> Row:
    return {
        "cpu_percent": 100 * pulse["cpu"],
        "memory_percent": 100 * pulse["memory"],
        "memory_used_gb": 512 * pulse["memory"],
        "memory_total_gb": 512.0,
        "disk_percent": 100 * pulse["disk"],
        "disk_used_gb": 3500 * pulse["disk"],
        "disk_total_gb": 3500.0,
        "load_1m": 1.5,
        "kernel": "6.8.0",
        "cpu_count": 96,
        "host_uptime_seconds": 900_000,
    }


def _gpu(index: int, model: str | None, told: list[int | None]) -> Row:
    memory = next((size for name, size, _ in GPUS if name == model), 80) * 1024
    vendor = next((vendor for name, _, vendor in GPUS if name == model), "tpu-maker")
    busy, used, mark = told
    gpu: Row = {
        "index": index,
        "name": model or "unheard-of accelerator",
        "uuid": f"GPU-{index:08x}-0000-4000-8000-00000000000{index % 10}",
        "vendor": vendor,
        "pci_bus_id": f"00000000:{index + 16:02X}:00.0",
        "memory_total_mb": memory,
        "health": {0: "ok", 1: "degraded", 2: "failed", None: "unknown"}[mark],
        "driver": "570.86.15",
    }
    if mark == 2:
        xid = {"xid": 79, "count": 3, "last_at": rfc(NOW - timedelta(minutes=9))}
        gpu["xids"] = [xid | {"name": "GPU fell off the bus", "severity": "fatal"}]
        gpu["verdicts"] = [
            {
                "reason": "GpuLost",
                "severity": "fatal",
                "cause": "The GPU does not answer on the bus.",
                "remedy": "Drain the node and reset it.",
                "message": "GPU 3 fell off the bus (Xid 79)",
            }
        ]
        return gpu | {"reason": "GpuLost", "message": "fell off the bus"}
    if busy is None or used is None:
        return gpu
    gpu |= {
        "utilization_percent": float(busy),
        "memory_used_mb": memory * used // 100,
        "temperature_celsius": 34 + busy // 2,
        "memory_temperature_celsius": 40 + busy // 2,
        "power_watts": 90.0 + 6 * busy,
        "power_limit_watts": 700.0,
        "clock_sm_mhz": 1980,
        "clock_memory_mhz": 2619,
        "throttle_reasons": ["sw-power-cap"] if busy > 95 else [],
        "ecc_enabled": True,
        "ecc": {"corrected_volatile": 3, "uncorrected_volatile": 0},
        "pcie": {"generation": 5, "width": 16},
        "nvlink": {"links": 18, "up": 18},
        "processes": [_process(index, memory * used // 100)],
        "holders": [_holder(gpu["uuid"], memory * used // 100)],
    }
    if index == 1:
        slices = [
            {"uuid": f"MIG-{n}", "profile": "3g.40gb", "memory_used_mb": 9000 * n,
             "memory_total_mb": 40_192} for n in range(2)
        ]  # fmt: skip
        gpu |= {"mig_enabled": True, "mig": slices}
    return gpu


def _process(index: int, used: int) -> Row:
    named = {"namespace": "serving", "pod": "vllm-0", "container": "vllm"}
    return {"pid": 4000 + index, "name": "python3", "kind": "compute", "memory_used_mb": used} | (
        named if index % 2 == 0 else {}
    )


def _holder(device: str, used: int) -> Row:
    named = {"namespace": "serving", "pod": "vllm-0", "container": "vllm"}
    how = {"device": device, "how": "exclusive", "processes": 1, "memory_used_mb": used}
    return how | named


def _services(models: list[str]) -> list[Row]:
    vllm = {
        "name": "vllm", "type": "llm", "status": "running", "port": 8000, "health": "ok",
        "models": models, "loaded_models": models[:1], "engine": "vllm",
        "engine_version": "0.11.0", "requests_running": 12.0, "requests_waiting": 3.0,
        "kv_cache_percent": 61.5, "generation_tokens_per_second": 1840.0, "ttft_ms_p50": 84.0,
        "e2e_ms_p50": 2100.0, "canary_ms": 12.5, "namespace": "serving", "pod": "vllm-0",
        "container": "vllm", "gpus": [0, 1, 2, 3],
    }  # fmt: skip
    ollama = {"name": "ollama", "type": "llm", "status": "running", "port": 11434}
    ollama |= {"health": "degraded", "reason": "Timeout", "message": "no answer in 2 s"}
    return [vllm, ollama | {"engine": "ollama", "models": []}]


def _container() -> Row:
    return {
        "pod_uid": "0b5e", "container_id": "c0ffee", "namespace": "serving", "pod": "vllm-0",
        "container": "vllm", "cpu_cores": 3.2, "working_set_bytes": 42 * GIB, "restarts": 1,
    }  # fmt: skip

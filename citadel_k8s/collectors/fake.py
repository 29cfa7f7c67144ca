"""GPUs and engines that are not there, for demonstrations and for tests of a fleet.

Their load moves slowly and is a function of the time and the node's name alone: two runs show
the same, and the nodes of a fleet differ.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.readings import Engine, Gpu, Gpus, Outcome, Reading

FAKE_GPUS_MAX: Final = 16
"""Most GPUs of one pretended node: the largest node on sale."""

_MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class GpuKind:
    """A GPU on the market: name as NVML gives it, memory in MiB, power limit in watts."""

    name: str
    memory_mib: int
    power_watts: int


KINDS: Final = {
    "a10": GpuKind("NVIDIA A10", 23028, 150),
    "a100": GpuKind("NVIDIA A100-SXM4-80GB", 81920, 400),
    "a100-40g": GpuKind("NVIDIA A100-SXM4-40GB", 40960, 400),
    "b200": GpuKind("NVIDIA B200", 183359, 1000),
    "gh200": GpuKind("NVIDIA GH200 480GB", 97871, 900),
    "h100": GpuKind("NVIDIA H100 80GB HBM3", 81559, 700),
    "h200": GpuKind("NVIDIA H200", 143771, 700),
    "l4": GpuKind("NVIDIA L4", 23034, 72),
    "l40s": GpuKind("NVIDIA L40S", 46068, 350),
    "rtx3090": GpuKind("NVIDIA GeForce RTX 3090", 24576, 350),
    "rtx4090": GpuKind("NVIDIA GeForce RTX 4090", 24564, 450),
    "rtx5090": GpuKind("NVIDIA GeForce RTX 5090", 32607, 575),
    "t4": GpuKind("Tesla T4", 15360, 70),
    "v100": GpuKind("Tesla V100-SXM2-32GB", 32768, 300),
}
"""The GPUs that can be pretended."""

_LARGE: Final = (
    "meta-llama/Llama-3.3-70B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct",
    "mistralai/Mixtral-8x22B-Instruct-v0.1",
)
_SMALL: Final = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "mistralai/Mistral-7B-Instruct-v0.3",
)
_PULLED: Final = (("llama3.2:3b", "nomic-embed-text:latest"), ("qwen2.5:7b", "gemma2:9b"))
_LARGE_NODE_MIB: Final = 160_000
"""Memory from which a node serves a large model, in MiB: 70 billion parameters at 16 bits."""


def parse_fake_gpu(text: str) -> tuple[GpuKind, int]:
    """Give kind and count of a text such as ``h100x8``.

    Raises
    ------
    ConfigError
        If the kind is not known or the count not in 1 to ``FAKE_GPUS_MAX``.
    """
    match = re.fullmatch(r"(?P<kind>[a-z0-9-]+)x(?P<count>[0-9]{1,2})", text.strip().lower())
    kind = KINDS.get(match["kind"]) if match else None
    if match is None or kind is None or not 1 <= int(match["count"]) <= FAKE_GPUS_MAX:
        raise ConfigError(
            f"fake GPU {text!r}: KINDxCOUNT is needed, such as h100x8; "
            f"kinds: {', '.join(KINDS)}; count: 1 to {FAKE_GPUS_MAX}"
        )
    return kind, int(match["count"])


class FakeGpus:
    """Pretended GPUs.

    Parameters
    ----------
    spec : str
        Such as ``h100x8``.
    node : str
        Name of the node; it decides uuids and load.
    clock : Clock
        Its date decides the load.
    """

    name = "fake-gpu"

    def __init__(self, spec: str, node: str, clock: Clock) -> None:
        self._kind, self._count = parse_fake_gpu(spec)
        self._node = node
        self._clock = clock

    async def collect(self) -> Outcome[Gpus]:
        """Give the GPUs as they are now."""
        now = self._clock.now()
        gpus = tuple(self._gpu(index, now) for index in range(self._count))
        return Reading(Gpus(driver="575.57.08", gpus=gpus))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _gpu(self, index: int, now: float) -> Gpu:
        load = _load(f"{self._node}/{index}", now)
        kind = self._kind
        # An engine takes most of the memory at its start and keeps it.
        share = 0.82 + 0.1 * _load(f"{self._node}/{index}/memory", now)
        return Gpu(
            index=index,
            uuid=f"GPU-{_uuid(f'{self._node}/{index}')}",
            name=kind.name,
            memory_used_bytes=int(kind.memory_mib * share) * _MIB,
            memory_total_bytes=kind.memory_mib * _MIB,
            utilization_ratio=round(load, 2),
            temperature_celsius=round(34 + 44 * load),
            power_watts=round(kind.power_watts * (0.12 + 0.83 * load), 1),
            power_limit_watts=float(kind.power_watts),
            health="ok",
        )


class FakeEngines:
    """Pretended engines that fit the pretended GPUs.

    Parameters
    ----------
    spec, node, clock
        As for `FakeGpus`.
    """

    name = "engines"

    def __init__(self, spec: str, node: str, clock: Clock) -> None:
        kind, count = parse_fake_gpu(spec)
        self._large = kind.memory_mib * count >= _LARGE_NODE_MIB
        self._node = node
        self._clock = clock

    async def collect(self) -> Outcome[tuple[Engine, ...]]:
        """Give the engines as they are now."""
        load = _load(f"{self._node}/vllm", self._clock.now())
        pick = _number(self._node)
        models = _LARGE if self._large else _SMALL
        vllm = Engine(
            name="vllm",
            type="llm",
            status="running",
            health="ok",
            engine="vllm",
            port=8000,
            models=(models[pick % len(models)],),
            requests_running=float(round(load * (48 if self._large else 16))),
            requests_waiting=float(max(0, round((load - 0.75) * 40))),
        )
        # Two nodes of three also keep an Ollama with small models.
        return Reading((vllm,) if pick % 3 == 0 else (vllm, self._ollama(pick)))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _ollama(self, pick: int) -> Engine:
        return Engine(
            name="ollama",
            type="llm",
            status="running",
            health="ok",
            engine="ollama",
            port=11434,
            models=_PULLED[pick % len(_PULLED)],
        )


def _load(key: str, now: float) -> float:
    """Give a slow wave between 0 and 1: a quarter of an hour, with a faster one on top."""
    phase = _number(key) / 2**32 * 2 * math.pi
    slow = math.sin(now / 900 * 2 * math.pi + phase)
    fast = math.sin(now / 170 * 2 * math.pi + 3 * phase)
    return min(1.0, max(0.0, 0.55 + 0.35 * slow + 0.1 * fast))


def _number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4])


def _uuid(key: str) -> str:
    digits = hashlib.sha256(key.encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))

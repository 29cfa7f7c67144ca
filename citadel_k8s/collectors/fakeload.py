"""Who is pretended to work on which GPU of a pretended node, and how hard.

Everything is a function of the time and the node's name alone: two runs show the same, the nodes
of a fleet differ, and the sources of one node fit together without knowing of each other.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Final

from citadel_k8s.collectors.fakekinds import GpuKind, parse_fake_gpu

SLOW_SECONDS: Final = 900.0
"""Period of the load, in seconds: a quarter of an hour."""

FAST_SECONDS: Final = 170.0
"""Period of the ripple on it, in seconds; no part of the other."""

LOADED_AT: Final = 1_735_689_600.0
"""When pretended drivers were loaded, in seconds since the epoch (2025-01-01): energy counts from
there, and so never goes back."""

OLLAMA_FROM: Final = 0.3
"""Load from which the pretended Ollama has a model in memory; below it has let go of it."""

LARGE_MIB: Final = 160_000
"""Memory from which an engine serves a large model, in MiB: 70 billion parameters at 16 bits."""

NOTEBOOK_FROM: Final = 4
"""GPUs from which a node has one that somebody holds and does not use."""

_SPREAD: Final = 20_000
"""Numbers of processes are spread over so many, so that nodes differ."""

_ORDER: Final = ("vllm", "trainer", "notebook", "ollama")
_APART: Final = 200
"""Numbers between the processes of two programs, more than one program has processes."""


@dataclass(frozen=True, slots=True)
class Job:
    """One program on some of the GPUs; ``pod`` is None for one that runs outside any.

    ``pid`` is its first process; those on GPUs follow it, one for each. ``workers`` is what these
    are called; None for a program that uses no GPU though it holds them.
    """

    name: str
    pid: int
    gpus: tuple[int, ...]
    namespace: str | None
    pod: str | None
    pod_uid: str | None
    container_id: str | None
    command: str
    workers: str | None
    restarts: int

    def worker(self, index: int) -> int:
        """Give the process that this program has on one of its GPUs."""
        return self.pid + 11 + self.gpus.index(index)


class Wave:
    """A load between 0.1 and 1 that moves slowly."""

    def __init__(self, key: str) -> None:
        self._phase = number(key) / 2**32 * 2 * math.pi

    def at(self, now: float) -> float:
        """Give the load at a moment, in seconds since the epoch."""
        slow = math.sin(now / SLOW_SECONDS * 2 * math.pi + self._phase)
        fast = math.sin(now / FAST_SECONDS * 2 * math.pi + 3 * self._phase)
        return 0.55 + 0.35 * slow + 0.1 * fast

    @staticmethod
    def elapsed(now: float) -> float:
        """Give the seconds from `LOADED_AT` to a moment; none before it."""
        return max(0.0, now - LOADED_AT)

    def seconds(self, now: float) -> float:
        """Give the load's sum from `LOADED_AT` to a moment, in seconds of full load."""
        return max(0.0, self._sum(now) - self._sum(LOADED_AT))

    def _sum(self, now: float) -> float:
        slow = math.cos(now / SLOW_SECONDS * 2 * math.pi + self._phase) * SLOW_SECONDS
        fast = math.cos(now / FAST_SECONDS * 2 * math.pi + 3 * self._phase) * FAST_SECONDS
        return 0.55 * now - (0.35 * slow + 0.1 * fast) / (2 * math.pi)


class FakeNode:
    """One pretended node.

    Parameters
    ----------
    spec : str
        Its GPUs, such as ``h100x8``.
    name : str
        It decides uuids, programs and load.

    Raises
    ------
    ConfigError
        If there are no such GPUs.
    """

    def __init__(self, spec: str, name: str) -> None:
        self.kind: GpuKind
        self.kind, self.count = parse_fake_gpu(spec)
        self.name = name
        self.uuids = tuple(f"GPU-{uuid(f'{name}/{index}')}" for index in range(self.count))
        self.jobs = tuple(self._jobs())
        self._by_gpu = {index: job for job in self.jobs for index in job.gpus}
        self._waves = {job.name: Wave(f"{name}/{job.name}") for job in self.jobs}

    @property
    def vllm(self) -> Job:
        """Its vLLM; every node has one."""
        return self.jobs[0]

    @property
    def ollama(self) -> Job | None:
        """Its Ollama: two nodes of three have one beside the vLLM."""
        return next((job for job in self.jobs if job.name == "ollama"), None)

    @property
    def large(self) -> bool:
        """Whether its vLLM has memory for a large model."""
        return self.kind.memory_mib * len(self.vllm.gpus) >= LARGE_MIB

    def draw(self, what: str, count: int) -> int:
        """Give one of so many numbers from zero on, by the node's name and each for itself."""
        return number(f"{self.name}/{what}") % count

    def job(self, index: int) -> Job | None:
        """Give what a GPU was given to, or what runs on it outside any pod."""
        return self._by_gpu.get(index)

    def wave(self, job: Job) -> Wave:
        """Give how hard a program works."""
        return self._waves[job.name]

    def works(self, job: Job | None, now: float) -> bool:
        """Whether a program has processes on its GPUs."""
        if job is None or job.workers is None:
            return False
        return job.name != "ollama" or self.wave(job).at(now) >= OLLAMA_FROM

    def _jobs(self) -> list[Job]:
        with_ollama = self.draw("ollama", 3) != 0
        free = list(range(self.count))
        # The last GPU of a node with several; one alone is vLLM's, and Ollama computes on CPUs.
        local = (free.pop(),) if with_ollama and len(free) > 1 else ()
        held = (free.pop(),) if self.count >= NOTEBOOK_FROM else ()
        half = self.count // 2 if self.count >= NOTEBOOK_FROM else len(free)
        width = 2 ** int(math.log2(min(len(free), half)))  # tensors are split over powers of two
        served, rest = tuple(free[:width]), tuple(free[width:])
        run = f"finetune-{uuid(f'{self.name}/finetune')[:5]}"
        engine = "VLLM::Worker_TP" if width > 1 else "VLLM::EngineCore"
        jobs = [self._job("vllm", served, "llm/vllm-0", "vllm serve", engine)]
        if rest:
            jobs.append(self._job("trainer", rest, f"train/{run}", "torchrun tune.py", "python"))
        if held:
            jobs.append(self._job("notebook", held, "research/notebook-0", "jupyter-lab", None))
        if with_ollama:
            jobs.append(self._job("ollama", local, None, "ollama serve", "ollama"))
        return jobs

    def _job(
        self, name: str, gpus: tuple[int, ...], place: str | None, command: str, workers: str | None
    ) -> Job:
        key = f"{self.name}/{name}"
        namespace, _, pod = place.partition("/") if place else (None, "", None)
        return Job(
            name=name,
            pid=2000 + self.draw("pid", _SPREAD) + _ORDER.index(name) * _APART,
            gpus=gpus,
            namespace=namespace,
            pod=pod,
            pod_uid=uuid(f"{key}/pod") if place else None,
            container_id=digest(f"{key}/container") if place else None,
            command=command,
            workers=workers,
            restarts=number(f"{key}/restarts") % 3,
        )


def number(key: str) -> int:
    """Give a number of 32 bits that is always the same for a text."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4])


def digest(key: str) -> str:
    """Give 64 hexadecimal digits that are always the same for a text."""
    return hashlib.sha256(key.encode()).hexdigest()


def uuid(key: str) -> str:
    """Give a UUID that is always the same for a text."""
    digits = digest(key)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))

"""What a collector is, and the parent's side of the protocol of `citadel_k8s.collectors.lines`."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from citadel_k8s.collectors.lines import encode
from citadel_k8s.models.readings import (
    Absent,
    ContainerUsage,
    EccErrors,
    Failed,
    Gpu,
    GpuEvent,
    GpuProcess,
    Gpus,
    Host,
    Listener,
    MigInstance,
    NvLink,
    Outcome,
    Pcie,
    Process,
    Processes,
    Reading,
    RowRemap,
    Verdict,
    XidCount,
)

T = TypeVar("T")

Pair: TypeAlias = tuple[int | None, str]
"""A GPU's index (None: the source as a whole) and a call on it."""


class Collector(Protocol[T]):
    """Gives one kind of reading in the agent; bounded in time by itself, and never raises."""

    @property
    def name(self) -> str:
        """What the source is called in reports."""
        ...

    async def collect(self) -> Outcome[T]:
        """Read now."""
        ...

    async def close(self) -> None:
        """Let go of processes and connections, within a second."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """The child's answer: an outcome whose value is still a plain mapping.

    ``tried`` are the calls that hung before and were made again.
    """

    outcome: Outcome[dict[str, Any]]
    tried: frozenset[Pair]


def encode_request(
    number: str,
    source: str,
    args: Mapping[str, Any],
    skip: Mapping[Pair, str],
    retry: Iterable[Pair],
) -> bytes:
    """Give the line that asks for a reading without the calls to skip, each with the reason."""
    pairs = [[gpu, call, why] for (gpu, call), why in skip.items()]
    return encode(
        {"id": number, "source": source, "args": args, "skip": pairs, "retry": list(retry)}
    )


def decode_line(line: bytes, number: str) -> Answered | None:
    """Read a line of the child; None if it belongs to another request.

    Raises
    ------
    ValueError
        If the line is not of the protocol.
    """
    try:
        message = json.loads(line)
        if message["id"] != number:
            return None
        tried = frozenset((gpu, call) for gpu, call in message["tried"])
        return Answered(_outcome(message), tried)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} in {line[:80]!r}") from error


def decode_event(line: bytes) -> GpuEvent | None:
    """Give the event that a line tells; None if it is another line, or of no known shape."""
    if not line.startswith(_EVENT):
        return None
    try:
        return GpuEvent(**json.loads(line)["event"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


_EVENT: Final = b'{"event":'


def host_from(value: Mapping[str, Any]) -> Host:
    """Give the host's figures of their JSON form."""
    addresses = value.get("mesh_addresses")
    fields = dict(value)
    if addresses is not None:
        fields["mesh_addresses"] = tuple(addresses)
    return Host(**fields)


def gpus_from(value: Mapping[str, Any]) -> Gpus:
    """Give the GPUs of their JSON form."""
    gpus = tuple(_gpu(gpu) for gpu in value["gpus"])
    return Gpus(driver=value["driver"], gpus=gpus, cuda=value.get("cuda"))


class GpuDecoder:
    """Gives the GPUs of their JSON form, with the links that were told before.

    A child reads a GPU's links seldom and tells them once: an answer without the key says that
    nothing newer is known of them.
    """

    def __init__(self) -> None:
        self._links: dict[str | int, tuple[NvLink, ...] | None] = {}

    def __call__(self, value: Mapping[str, Any]) -> Gpus:
        """Give the GPUs; a GPU of which nothing could be read has no links either."""
        gpus = gpus_from(value)
        links: dict[str | int, tuple[NvLink, ...] | None] = {}
        told: list[Gpu] = []
        for raw, gpu in zip(value["gpus"], gpus.gpus, strict=True):
            key = gpu.uuid or gpu.index
            read = "utilization_ratio" in raw
            links[key] = gpu.nvlinks if "nvlinks" in raw else self._links.get(key)
            told.append(replace(gpu, nvlinks=links[key]) if read else gpu)
        self._links = links
        return replace(gpus, gpus=tuple(told))


def containers_from(value: Mapping[str, Any]) -> tuple[ContainerUsage, ...]:
    """Give the containers' usage of its JSON form."""
    return tuple(ContainerUsage(**container) for container in value["containers"])


def processes_from(value: Mapping[str, Any]) -> Processes:
    """Give processes and listeners of their JSON form."""
    return Processes(
        processes=tuple(
            Process(**process | {"ancestors": tuple(process.get("ancestors", ()))})
            for process in value["processes"]
        ),
        listeners=tuple(Listener(**listener) for listener in value["listeners"]),
    )


def _all_of(kind: Callable[..., T]) -> Callable[[Any], tuple[T, ...]]:
    return lambda values: tuple(kind(**value) for value in values)


_PARTS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "throttle_reasons": tuple,
    "ecc": lambda value: EccErrors(**value),
    "row_remap": lambda value: RowRemap(**value),
    "pcie": lambda value: Pcie(**value),
    "nvlinks": _all_of(NvLink),
    "mig": _all_of(MigInstance),
    "processes": _all_of(GpuProcess),
    "xids": _all_of(XidCount),
    "verdicts": _all_of(Verdict),
}
"""Fields of a GPU that are more than a number or a word."""


def _gpu(value: Mapping[str, Any]) -> Gpu:
    fields = dict(value)
    for name, make in _PARTS.items():
        if fields.get(name) is not None:
            fields[name] = make(fields[name])
    return Gpu(**fields)


def _outcome(message: Mapping[str, Any]) -> Outcome[dict[str, Any]]:
    match message["kind"]:
        case "reading":
            return Reading(dict(message["value"]))
        case "absent":
            return Absent(message["reason"], message["message"])
        case "failed":
            return Failed(message["reason"], message["message"])
        case kind:
            raise ValueError(f"unknown kind {kind!r}")

"""What a collector is, and the parent's side of the protocol of `citadel_k8s.collectors.lines`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from citadel_k8s.collectors.lines import encode
from citadel_k8s.models.readings import Absent, Failed, Gpu, Gpus, Host, Outcome, Reading

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
class Call:
    """The child is about to make this call."""

    pair: Pair


@dataclass(frozen=True, slots=True)
class Answered:
    """The child's answer: an outcome whose value is still a plain mapping."""

    outcome: Outcome[dict[str, Any]]


def encode_request(number: int, skip: Mapping[Pair, str]) -> bytes:
    """Give the line that asks for a reading without the calls to skip, each with the reason."""
    pairs = [[gpu, call, why] for (gpu, call), why in skip.items()]
    return encode({"id": number, "skip": pairs})


def decode_line(line: bytes, number: int) -> Call | Answered | None:
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
        if "call" in message:
            gpu, call = message["call"]
            return Call((gpu, call))
        return Answered(_outcome(message))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} in {line[:80]!r}") from error


def host_from(value: Mapping[str, Any]) -> Host:
    """Give the host's figures of their JSON form."""
    return Host(**value)


def gpus_from(value: Mapping[str, Any]) -> Gpus:
    """Give the GPUs of their JSON form."""
    return Gpus(driver=value["driver"], gpus=tuple(Gpu(**gpu) for gpu in value["gpus"]))


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

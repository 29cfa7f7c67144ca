"""What a source is, and how a collector child and its parent speak of one.

The two speak in lines of JSON over the child's stdin and stdout. The parent asks
``{"id": 7, "skip": [[3, "nvmlDeviceGetName", "why"], ...]}``. Before each call that may hang the
child says ``{"id": 7, "call": [3, "nvmlDeviceGetName"]}``; it ends with
``{"id": 7, "kind": "reading", "value": {...}}``, or kind ``absent`` or ``failed`` with a reason
and a message. So whoever waits for a silent child knows where it is stuck.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from citadel_k8s.models.readings import Absent, Failed, Gpu, Gpus, Host, Outcome, Reading

T = TypeVar("T")

TEXT_MAX: Final = 256
"""Longest text from a device, a file or an engine that leaves the node, in characters."""

WHOLE_GPU: Final = "*"
"""Stands for every call on a GPU in a pair to skip."""

Pair: TypeAlias = tuple[int | None, str]
"""A GPU's index (None: the source as a whole) and a call on it."""

Skip: TypeAlias = Mapping[Pair, str]
"""Calls that are not to be made, each with the reason."""

Announce: TypeAlias = Callable[[int | None, str], None]
"""Says which call comes next, on which GPU."""


class Source(Protocol[T]):
    """Reads one kind of thing; runs in a child process, may hang and may keep state."""

    def collect(self, announce: Announce, skip: Skip) -> Outcome[T]:
        """Read now, announcing each call that may hang and leaving out those to skip."""
        ...


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
class Answer:
    """The child's answer: an outcome whose value is still a plain mapping."""

    outcome: Outcome[dict[str, Any]]


def clean(text: str | bytes, limit: int = TEXT_MAX) -> str:
    """Give text fit to leave the node: valid UTF-8, one line, no control characters, not long."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    else:
        text = text.encode("utf-8", "replace").decode()
    text = "".join(c if c.isprintable() else " " for c in text[: limit * 4]).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def encode_request(number: int, skip: Skip) -> bytes:
    """Give the line that asks for a reading."""
    pairs = [[gpu, call, why] for (gpu, call), why in skip.items()]
    return _line({"id": number, "skip": pairs})


def decode_request(line: bytes) -> tuple[int, dict[Pair, str]]:
    """Give the number and the pairs to skip of a request."""
    request = json.loads(line)
    return request["id"], {(gpu, call): why for gpu, call, why in request["skip"]}


def encode_call(number: int, gpu: int | None, call: str) -> bytes:
    """Give the line that announces a call."""
    return _line({"id": number, "call": [gpu, call]})


def encode_answer(number: int, outcome: Outcome[Any]) -> bytes:
    """Give the line that answers a request."""
    match outcome:
        case Reading(value):
            return _line({"id": number, "kind": "reading", "value": asdict(value)})
        case Absent(reason, message):
            kind = "absent"
        case Failed(reason, message):
            kind = "failed"
    return _line({"id": number, "kind": kind, "reason": reason, "message": message})


def decode_line(line: bytes, number: int) -> Call | Answer | None:
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
        return Answer(_outcome(message))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} in {line[:80]!r}") from error


def host_from(value: Mapping[str, Any]) -> Host:
    """Give the host's figures back from their JSON form."""
    return Host(**value)


def gpus_from(value: Mapping[str, Any]) -> Gpus:
    """Give the GPUs back from their JSON form."""
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


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"

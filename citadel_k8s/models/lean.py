"""A status message checked as strictly as ever and built no further than an operator reads it.

`decode` makes an object of every part, which is three quarters of its time; at 333 messages a
second that is 2 % of a core for nothing. Here the same rules, taken from the same models, fill
plain dicts. What is refused here is read again by `decode`, so that there is one set of errors
and one place for what is only just acceptable, such as the numbers of the first senders.
"""

import functools
from typing import Any, Final, Required, TypedDict, cast

import pydantic
from pydantic_core import CoreSchema, SchemaValidator

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import decode, encode, readable_version
from citadel_k8s.models.wire import StatusMessage

_KEPT: Final = frozenset({"str", "int", "float", "bool", "any", "dict"})
"""Kinds of rules that are taken as they stand."""


class LeanNode(TypedDict, total=False):
    """As `wire.NodeInfo`."""

    network_ip: str | None
    tailscale_ip: str | None


class LeanSystem(TypedDict, total=False):
    """As `wire.SystemInfo`."""

    cpu_count: int | None
    memory_total_gb: float | None
    disk_percent: float | None


class LeanGpu(TypedDict, total=False):
    """As `wire_gpu.GpuInfo`."""

    index: Required[int]
    name: Required[str]
    uuid: str | None
    driver: str | None
    health: str | None
    reason: str | None
    utilization_percent: float | None
    memory_used_mb: int | None
    memory_total_mb: int | None


class LeanService(TypedDict, total=False):
    """As `wire.ServiceInfo`."""

    name: Required[str]
    type: Required[str]
    status: Required[str]
    health: str | None
    port: int | None
    models: list[str] | None
    reason: str | None
    requests_running: float | None
    requests_waiting: float | None


class LeanCollector(TypedDict, total=False):
    """As `wire.CollectorInfo`."""

    name: Required[str]
    state: Required[str]
    reason: str | None


class LeanConfig(TypedDict, total=False):
    """As `wire.ConfigInfo`."""

    revision: str | None
    error: str | None


class LeanStatus(TypedDict, total=False):
    """As `wire.NodeStatus`."""

    version: str
    node: Required[LeanNode]
    system: Required[LeanSystem]
    gpu: list[LeanGpu] | None
    services: list[LeanService] | None
    collectors: list[LeanCollector] | None
    config: LeanConfig | None


class LeanAgent(TypedDict, total=False):
    """As `wire.AgentInfo`."""

    version: Required[str]


class LeanGoodbye(TypedDict, total=False):
    """As `wire.Goodbye`."""

    reason: Required[str]
    expected_back_seconds: float | None


class LeanMessage(TypedDict, total=False):
    """As `wire.StatusMessage`, under the names of its attributes; what is absent is left out.

    Further keys of the contract are there too, checked, and not promised.
    """

    version: str
    timestamp: Required[str]
    node_id: Required[str]
    status: Required[LeanStatus]
    boot_id: str | None
    seq: int | None
    interval_seconds: float | None
    agent: LeanAgent | None
    goodbye: LeanGoodbye | None
    addresses: list[str] | None
    status_port: int | None


def decode_lean(payload: bytes, *, node_id: str = "") -> LeanMessage:
    """Read a message from JSON text; see `codec.decode` for what is taken and what is raised.

    Parameters
    ----------
    payload : bytes
        JSON text, at most ``MAX_ENTRY_BYTES``.
    node_id : str
        The node id given beside the payload; used where a bare status has none of its own.

    Raises
    ------
    WireError
        The one that `codec.decode` raises.
    """
    # What its parser takes for a number and JSON does not know, the other reading refuses.
    if len(payload) <= MAX_ENTRY_BYTES and b"NaN" not in payload and b"Infinity" not in payload:
        try:
            found = cast("LeanMessage", _rules().validate_json(payload))
        except pydantic.ValidationError:
            pass
        else:
            if _readable(found):
                return found
    return lean(decode(payload, node_id=node_id))


def lean(message: StatusMessage) -> LeanMessage:
    """Give a decoded message in the lean shape.

    Raises
    ------
    WireError
        With reason ``BadField`` if it holds what no message on the wire can.
    """
    try:
        return cast("LeanMessage", _rules().validate_json(encode(message)))
    except pydantic.ValidationError as error:
        raise WireError("BadField", "", "the message cannot be written down") from error


def _readable(message: LeanMessage) -> bool:
    return readable_version(message.get("version")) and readable_version(
        message["status"].get("version")
    )


@functools.cache
def _rules() -> SchemaValidator:
    # Made when first needed: an agent imports this and reads no message.
    return SchemaValidator(_lean(StatusMessage.__pydantic_core_schema__))


def _lean(schema: Any) -> CoreSchema:
    """Give the rules of a model with plain dicts in place of its objects, and nothing laxer."""
    match schema["type"]:
        case "model" | "function-before":
            # The one function before is the one that takes 450.0 for 450; `decode` has it.
            return _lean(schema["schema"])
        case "model-fields":
            fields = {name: _field(field) for name, field in schema["fields"].items()}
            config = {"strict": True, "allow_inf_nan": False}
            rules = {"type": "typed-dict", "fields": fields, "config": config}
            return cast("CoreSchema", rules | {"extra_behavior": "ignore"})
        case "nullable" | "function-after":
            return cast("CoreSchema", {**schema, "schema": _lean(schema["schema"])})
        case "list":
            return cast("CoreSchema", {**schema, "items_schema": _lean(schema["items_schema"])})
        case "union":
            choices = [_lean(choice) for choice in schema["choices"]]
            return cast("CoreSchema", {**schema, "choices": choices})
        case kind if kind in _KEPT:
            return cast("CoreSchema", schema)
        case kind:
            raise TypeError(f"no lean rules for {kind}")


def _field(field: Any) -> dict[str, Any]:
    inner, optional = field["schema"], field["schema"]["type"] == "default"
    rules = {"type": "typed-dict-field", "required": not optional}
    alias = {"validation_alias": field["validation_alias"]} if "validation_alias" in field else {}
    return rules | alias | {"schema": _lean(inner["schema"] if optional else inner)}

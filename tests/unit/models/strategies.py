"""Hypothesis strategies for wire models, made from the models themselves."""

import types
from typing import Annotated, Any, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel, StringConstraints

from citadel_k8s.models.wire import StatusMessage

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NODE_IDS = st.from_regex(r"[a-zA-Z0-9._-]{1,64}", fullmatch=True)
JSON = st.recursive(
    st.booleans() | INT64 | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def timestamps(draw: st.DrawFn) -> str:
    """RFC 3339 from whole seconds to nanoseconds, in UTC or with a local offset."""
    moment = draw(st.datetimes())
    digits = draw(st.integers(0, 9))
    fraction = f".{draw(st.integers(0, 10**digits - 1)):0{digits}d}" if digits else ""
    zone = draw(st.sampled_from(["Z", "+00:00", "-07:00", "+05:45", "+14:00"]))
    return f"{moment:%Y}".zfill(4) + f"{moment:-%m-%dT%H:%M:%S}{fraction}{zone}"


PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    float: FLOATS,
    int: INT64,
    bool: st.booleans(),
    type(None): st.none(),
}

BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "version": st.sampled_from(["1.0", "1.1", "1.10"]),
    "node_id": NODE_IDS,
    "boot_id": st.uuids().map(str),
    "host_boot_id": st.uuids().map(str),
    "seq": st.integers(1, 2**63 - 1),
    "interval_seconds": st.floats(0.001, 1e6),
    "expected_back_seconds": st.floats(0, 1e6),
    "status_port": st.integers(1, 65535),
}
"""Fields with a narrower range than their type."""


def of(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Any valid value of a model."""
    fields = {
        name: _field(model, name, field.annotation, field.metadata)
        for name, field in model.model_fields.items()
    }
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


def _field(
    model: type[BaseModel], name: str, annotation: Any, metadata: list[Any]
) -> st.SearchStrategy[Any]:
    narrow = BY_NAME.get(name)
    # The program's version is a word; only the wire's own is numbered.
    if narrow is None or (name == "version" and "timestamp" not in model.model_fields):
        return _value(annotation, metadata)
    optional = type(None) in get_args(annotation)
    return st.none() | narrow if optional else narrow


def _value(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    if any(isinstance(item, StringConstraints) for item in metadata):
        return timestamps()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return of(annotation)
    return PLAIN[annotation] if annotation in PLAIN else _composed(annotation)


def _composed(annotation: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(arguments[0], list(arguments[1:]))
    if origin is list:
        return st.lists(_value(arguments[0], []), max_size=3)
    if origin is dict:
        return st.dictionaries(TEXT, JSON, max_size=3)
    assert origin in (Union, types.UnionType), annotation
    return st.one_of([_value(argument, []) for argument in arguments])


MESSAGES = of(StatusMessage)
"""Any valid status message, with no unknown keys."""

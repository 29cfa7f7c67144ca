"""Common ground of all wire models: how a value from outside is taken and given back."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel


def _whole_number(value: Any) -> Any:
    # The first messages carried 450.0 where later ones carry 450; both mean the same count.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), BeforeValidator(_whole_number)]
"""An integer that may arrive written as a float; 64 bits, as Kubernetes and SQL keep it."""

T = TypeVar("T")

Listed = Annotated[list[T], Field(fail_fast=True)]
"""A list refused at its first bad element: reporting a million of them would stop the reader."""

Timestamp = Annotated[
    str,
    StringConstraints(
        max_length=64,
        pattern=(  # not \d, which takes the digits of every script
            r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
            r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
        ),
    ),
]
"""RFC 3339 with up to nine fractional digits; kept as text so that it round-trips."""

NodeId = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,64}$")]
"""What names a node on the wire."""


class WireModel(BaseModel):
    """A snake_case object of the wire: strict types, unknown keys kept, nothing non-finite."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)


class CamelModel(WireModel):
    """A camelCase object of the wire or of the Kubernetes API."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
    )

"""Common ground of all wire models: how a value from outside is taken and given back."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel


def _whole_number(value: Any) -> Any:
    # The first messages carried 450.0 where later ones carry 450; both mean the same count.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Whole = Annotated[int, BeforeValidator(_whole_number)]
"""An integer that may arrive written as a float."""

Timestamp = Annotated[
    str,
    StringConstraints(
        max_length=64,
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$",
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

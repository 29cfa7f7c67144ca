"""Bodies and answers of enrolment, snake_case as the wire contract has them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from citadel_k8s.models.base import NodeId, WireModel

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
"""Source: RFC 8628, section 3.4."""

Told = Annotated[str, StringConstraints(max_length=512)]
"""What a device says of itself."""


class StartBody(WireModel):
    """A device that wants in. Unknown keys are let through: newer clients may send some."""

    client_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    client_version: Told | None = None
    hostname: Told | None = None
    machine_id: Told | None = None
    force_new: bool | None = None


class StartAnswer(BaseModel):
    """What to show, and what to ask with."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class PollBody(WireModel):
    """A device that asks whether it may."""

    device_code: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    grant_type: Told


class PollAnswer(BaseModel):
    """What a device gets that was let in; absent keys are left out."""

    authkey: str
    expires_in: int
    nexus_url: str | None = None
    org_id: str
    org_name: str
    device_api_token: str
    api_base_url: str | None = None
    user_email: str | None = None
    user_name: str | None = None


class DeregisterBody(WireModel):
    """A device that leaves."""

    node_name: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class DecisionBody(WireModel):
    """A code that somebody typed, and as which node its device shall speak."""

    user_code: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    node_id: NodeId | None = None


class CodeQuery(BaseModel):
    """A code that somebody typed."""

    model_config = ConfigDict(extra="forbid")

    user_code: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class PendingView(BaseModel):
    """A device that waits. What it says of itself nobody has checked."""

    user_code: str
    state: Literal["pending", "approved", "denied"]
    client_id: str
    client_version: str | None = None
    hostname: str | None = None
    address: str | None = None
    force_new: bool
    node_id: str | None = None
    org_id: str | None = None
    created_at: str | None
    expires_at: str | None

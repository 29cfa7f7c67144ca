"""Who asks: what a credential was found to be. Nothing in here comes from a payload."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Scope(StrEnum):
    """What a device may do. The names are those of the wire contract."""

    REDIS_READ = "device_redis:read"
    REDIS_PUBSUB = "device_redis:pubsub"
    STATE_WRITE = "device_state:write"
    AUTHKEY_WRITE = "device_authkey:write"


DEVICE_SCOPES = frozenset({Scope.REDIS_READ, Scope.REDIS_PUBSUB, Scope.STATE_WRITE})
"""What a device gets unless told otherwise: all that an agent or a Go node needs to report."""


class Role(StrEnum):
    """What a person may do: look, change nodes, or people and tokens too; each holds the former."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what another may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


Kind = Literal["device", "workload", "user"]
"""A device token, a cluster's service account, a person."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Attributes
    ----------
    kind
        What sort of credential it was.
    org_id
        The org that it belongs to: the only one that it ever sees.
    subject
        ``token:<uuid>``, ``workload:<cluster>/<namespace>/<service account>`` or ``user:<uuid>``:
        what logs, quotas and the audit log name; never a secret.
    scopes
        Of a device or workload; empty for a person.
    role
        Of a person; None otherwise.
    node_id
        The one node that it may speak for; None for any of its org.
    """

    kind: Kind
    org_id: str
    subject: str
    scopes: frozenset[Scope] = frozenset()
    role: Role | None = None
    node_id: str | None = None

"""What an object asks of its node, made into what the node is told.

An object says how things should be, a message only what changes: a key that was told before and
is not asked for any more has to be taken back. Which keys were told is read off the revision, so
that neither a restart nor an emptied Redis forgets it: ``k8s-<digest>-<keys>-<services>``. Keys
that the object never named are somebody else's, and left alone.

What no agent of this release can do stays where it is. The stream is read by every node, and a
passcode or a key in it would be everybody's; the revision is of what is sent alone, because a
digest of a short secret is as good as the secret.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from citadel_k8s.domain.configfields import CheckEngine
from citadel_k8s.domain.nodeconfig import Values, check
from citadel_k8s.errors import WireError

KEYS: Final = (
    "deviceName",
    "customTags",
    "services",
    "intervalSeconds",
    "engines",
    "healthMonitoringEnabled",
    "alertOnOffline",
    "alertOnHighTemp",
)
"""Keys that can be told, in the order of their bits in a revision; new ones go to the end."""

CONFIG_MAX: Final = 16 * 1024
"""Largest configuration that is sent, in bytes of JSON: 10,000 entries of the stream are 160 MiB
then, and its server has 256."""

_REVISION: Final = re.compile(r"k8s-[0-9a-f]{16}-([0-9a-f]{2,8})-([0-9a-f]{8})")
_NO_SERVICES: Final = "0" * 8
_ADDRESSEES: Final = ("nodeId", "target")


@dataclass(frozen=True, slots=True)
class Desired:
    """A configuration that fits: what is sent, under which revision, and what is left out."""

    values: Values
    revision: str
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What is sent of a configuration to bring a node to it from what it was told before.

    ``anew`` asks for a message before it that takes all services back: a list only adds.
    """

    values: Values
    anew: bool


def desired_config(
    config: Mapping[str, Any] | None, node_id: str, check_engine: CheckEngine
) -> Desired:
    """Check what an object asks of its node; None is the same as nothing.

    Raises
    ------
    WireError
        As `citadel_k8s.domain.nodeconfig.check`, and with reason ``OtherNode`` if it names another
        node and ``TooLong`` if it is too large to be sent.
    """
    asked = config or {}
    for key in _ADDRESSEES:
        if (asked.get(key) or node_id) != node_id:
            raise WireError("OtherNode", f"config.{key}", "is not the node of this object")
    change = check(asked, check_engine)
    # To have no services is asked for in two ways, of which a message knows one.
    values = {k: None if k == "services" and not v else v for k, v in change.values.items()}
    size = len(_json(values))
    if size > CONFIG_MAX:
        raise WireError("TooLong", "config", f"{size} bytes; at most {CONFIG_MAX}")
    return Desired(values, _revision(values), change.unsupported)


def step_to(wanted: Desired, *told: str | None) -> Step:
    """Give what to send, from the revisions that the node may stand at; foreign ones say nothing.

    Parameters
    ----------
    wanted : Desired
        What the node is to come to.
    told : str or None
        Revisions: the one that was sent last, the one that the node reports.
    """
    before = [match for text in told if (match := _REVISION.fullmatch(text or ""))]
    given = {key for match in before for key in _keys_of(match[1])}
    back: Values = {k: None for k in KEYS if k in given and k not in wanted.values}
    services = _services_of(wanted.revision)
    anew = wanted.values.get("services") is not None and any(
        match[2] not in {services, _NO_SERVICES} for match in before
    )
    return Step({**back, **wanted.values}, anew)


def tells_nothing(revision: str | None) -> bool:
    """Say whether nothing that was asked for here holds on a node that reports a revision."""
    # Of most nodes there is nothing to look at, and all are asked for each second.
    match = _REVISION.fullmatch(revision) if revision else None
    return match is None or not _keys_of(match[1])


def is_ours(revision: str | None) -> bool:
    """Say whether a revision is one of those made here."""
    return _REVISION.fullmatch(revision or "") is not None


def _revision(values: Values) -> str:
    digest = hashlib.sha256(_json(values)).hexdigest()[:16]
    keys = sum(1 << bit for bit, key in enumerate(KEYS) if values.get(key) is not None)
    services = values.get("services")
    names = hashlib.sha256(_json(services)).hexdigest()[:8] if services else _NO_SERVICES
    return f"k8s-{digest}-{keys:02x}-{names}"


def _keys_of(bits: str) -> list[str]:
    number = int(bits, 16)
    return [key for bit, key in enumerate(KEYS) if number >> bit & 1]


def _services_of(revision: str) -> str:
    return revision.rpartition("-")[2]


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

"""What a node can be told from afar: which keys there are, what fits, how changes add up.

A change has three states per key: absent leaves the key alone, ``null`` goes back to what the
node's own settings say, anything else is the new value. Services are added and never taken away
by a list; every other list replaces the one before.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from citadel_k8s.domain.configfields import (
    SERVICE,
    SERVICES_MAX,
    SSH_USERS_MAX,
    TAG,
    TAGS_MAX,
    CheckEngine,
    Rule,
    device_name,
    engine_list,
    interval,
    plain_text,
    switch,
    text_list,
    wrong_kind,
)
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import WireError

REVISION_MAX: Final = 64
"""Longest revision, in characters."""

UNSUPPORTED_MAX: Final = 50
"""Most keys named as not supported; the widest message of the contract has thirty."""

KEY_MAX: Final = 64
"""Characters kept of such a key."""

Values: TypeAlias = Mapping[str, Any]
"""What is told, by key, in the wire's own shapes; None stands for "as the node's settings say"."""

_ABOUT_ITSELF: Final = frozenset(
    {"revision", "updatedAt", "status", "nodeId", "target", "target_node", "type"}
)
"""Keys with which a message speaks of itself."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one message asks for, checked; ``unsupported`` names what this node cannot do."""

    values: Values
    unsupported: tuple[str, ...] = ()
    revision: str | None = None
    updated_at: str | None = None

    @property
    def token(self) -> str | None:
        """What tells this change from others, by which it is known again on another way.

        None where the message has neither revision nor date: two such may be two wishes.
        """
        if self.revision is None and self.updated_at is None:
            return None
        text = json.dumps([self.revision, self.updated_at, self.values], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def check(config: Mapping[str, Any], check_engine: CheckEngine, *, at: str = "config") -> Change:
    """Check a configuration as a whole; of one that does not fit nothing is taken.

    Parameters
    ----------
    config : mapping
        As parsed from JSON.
    check_engine : callable
        Checks the document of one engine.
    at : str
        Where the configuration stands in the message, for the errors.

    Raises
    ------
    WireError
        With reason ``BadField``, ``TooLong``, ``TooMany`` or ``Forbidden``, naming the key.
    """
    rules = _rules(check_engine)
    values: dict[str, Any] = {}
    for key, rule in rules.items():
        if key in config:
            values[key] = _checked(rule, config[key], f"{at}.{key}")
    agent = config.get("agent", {})
    own = {"intervalSeconds": None, "engines": None} if agent is None else _object(agent, at)
    for key in ("intervalSeconds", "engines"):
        if key in own:
            values[key] = _checked(rules[key], own[key], f"{at}.agent.{key}")
    users = config.get("sshAllowedUsers")
    if users is not None:
        text_list(users, f"{at}.sshAllowedUsers", SSH_USERS_MAX, None)
    return Change(
        values=values,
        unsupported=_unsupported(config, own, rules),
        revision=revision_of(config.get("revision"), f"{at}.revision"),
        updated_at=_date(config.get("updatedAt"), f"{at}.updatedAt"),
    )


def merge(kept: Values, change: Values) -> dict[str, Any]:
    """Give what is told after a change; what is not in it was never told, or taken back.

    Raises
    ------
    WireError
        With reason ``TooMany``, if the services would be too many in all.
    """
    merged = dict(kept)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif key == "services":
            services = list(dict.fromkeys([*merged.get(key, ()), *value]))
            if len(services) > SERVICES_MAX:
                raise WireError("TooMany", key, f"{len(services)} in all; at most {SERVICES_MAX}")
            if services:
                merged[key] = services
        else:
            merged[key] = value
    return merged


def revision_of(value: Any, field: str) -> str | None:
    """Give a revision, a text or an integer, as text; None if there is none.

    Raises
    ------
    WireError
        With reason ``BadField`` or ``TooLong``.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    return plain_text(value, field, REVISION_MAX)


def _rules(check_engine: CheckEngine) -> dict[str, Rule]:
    def engines(value: Any, field: str) -> list[Mapping[str, Any]]:
        return engine_list(value, field, check_engine)

    return {
        "deviceName": device_name,
        "customTags": lambda value, field: text_list(value, field, TAGS_MAX, TAG),
        "services": lambda value, field: text_list(value, field, SERVICES_MAX, SERVICE),
        "intervalSeconds": interval,
        "engines": engines,
        "healthMonitoringEnabled": switch,
        "alertOnOffline": switch,
        "alertOnHighTemp": switch,
    }


def _checked(rule: Rule, value: Any, field: str) -> Any:
    return None if value is None else rule(value, field)


def _object(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise wrong_kind(f"{at}.agent", "an object", value)
    return cast("dict[str, Any]", value)


def _unsupported(
    config: Mapping[str, Any], own: Mapping[str, Any], rules: Mapping[str, Rule]
) -> tuple[str, ...]:
    known = _ABOUT_ITSELF | rules.keys() | {"agent"}
    names = {key for key, value in config.items() if key not in known and value is not None}
    names |= {
        f"agent.{key}"
        for key, value in own.items()
        if key not in {"intervalSeconds", "engines"} and value is not None
    }
    return tuple(clip(name, KEY_MAX) for name in sorted(names)[:UNSUPPORTED_MAX])


def _date(value: Any, field: str) -> str | None:
    return None if value is None else plain_text(value, field, KEY_MAX)

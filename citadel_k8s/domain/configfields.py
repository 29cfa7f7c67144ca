"""The fields of a configuration from afar: each value as it is kept, or a `WireError`.

A rule never quotes a value of the wrong kind: what stands in the wrong place may be a secret.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, TypeAlias, cast
from urllib.parse import urlsplit

from citadel_k8s.constants import INTERVAL_MAX, INTERVAL_MIN
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import WireError

DEVICE_NAME_MAX: Final = 256
"""Longest device name, in bytes of UTF-8. Source: the wire contract."""

SERVICES_MAX: Final = 50
"""Most services that a node can be told to have, in one message and in all. Source: the wire
contract, for one message."""

TAGS_MAX: Final = 100
"""Most custom tags. Source: the wire contract."""

SSH_USERS_MAX: Final = 50
"""Most SSH users. Source: the wire contract; the list itself has no meaning here."""

ENGINES_MAX: Final = 50
"""Most engines to ask: each costs up to 2 ms of CPU per reading."""

CheckEngine: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives the document of an engine back as it is kept, or raises `WireError`."""

Rule: TypeAlias = Callable[[Any, str], Any]
"""Takes a value and where it stands; gives it back as it is kept, or raises `WireError`."""

SERVICE: Final = re.compile(r"[a-z0-9-]{1,32}")
"""A service's name. Source: the wire contract."""

TAG: Final = re.compile(r"[a-z0-9][a-z0-9:._-]{0,127}")
"""A custom tag. Source: the wire contract."""

_ODD_ADDRESS: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?")
"""A host in digits: an address, or a spelling of one that only resolvers understand."""


_METADATA_ADDRESSES: Final = frozenset(
    map(ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
)
"""Where AWS (IPv6), Alibaba, Azure and Oracle keep them outside of the link-local range."""

_METADATA_NAMES: Final = frozenset({"metadata.google.internal", "metadata", "instance-data"})
"""Names by which clouds let them be found."""

_CARRIERS: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
"""Networks whose last 32 bits are an IPv4 address: NAT64, and the old compatible ones."""

_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (dict, "an object"),
    (list, "a list"),
    (str, "a text"),
    (bool, "true or false"),
    ((int, float), "a number"),
)


def device_name(value: Any, field: str) -> str | None:
    """Take a device name; an empty one is none."""
    # A form whose field was emptied sends an empty name; nobody is called that.
    if isinstance(value, str) and not value.strip():
        return None
    return plain_text(value, field, DEVICE_NAME_MAX)


def plain_text(value: Any, field: str, longest: int) -> str:
    """Take a text of at most ``longest`` bytes of UTF-8, without control characters."""
    if not isinstance(value, str):
        raise wrong_kind(field, "a text", value)
    size = len(value.encode(errors="replace"))
    if size > longest:
        raise WireError("TooLong", field, f"{size} bytes; at most {longest}")
    if not value.isprintable():
        raise WireError("BadField", field, "it holds control characters")
    return value


def text_list(value: Any, field: str, most: int, pattern: re.Pattern[str] | None) -> list[str]:
    """Take a list of at most ``most`` texts, each once, that match the whole pattern."""
    items = _list(value, field, most)
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise wrong_kind(f"{field}.{index}", "a text", item)
        if pattern is not None and not pattern.fullmatch(item):
            detail = f"{clip(repr(item))} does not match ^{pattern.pattern}$"
            raise WireError("BadField", f"{field}.{index}", detail)
    return list(dict.fromkeys(items))


def _list(value: Any, field: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_kind(field, "a list", value)
    items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
    if len(items) > most:
        raise WireError("TooMany", field, f"{len(items)}; at most {most}")
    return items


def interval(value: Any, field: str) -> float:
    """Take a heartbeat interval in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_kind(field, "a number of seconds", value)
    if not INTERVAL_MIN <= value <= INTERVAL_MAX:
        raise WireError("BadField", field, f"must be {INTERVAL_MIN:g} to {INTERVAL_MAX:g} seconds")
    return float(value)


def switch(value: Any, field: str) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise wrong_kind(field, "true or false", value)
    return value


def engine_list(value: Any, field: str, check_engine: CheckEngine) -> list[Mapping[str, Any]]:
    """Take the documents of engines, each under a name of its own."""
    engines: dict[str, Mapping[str, Any]] = {}
    for index, item in enumerate(_list(value, field, ENGINES_MAX)):
        where = f"{field}.{index}"
        if not isinstance(item, dict):
            raise wrong_kind(where, "an object", item)  # pyright: ignore[reportUnknownArgumentType]
        engine = _engine(cast("dict[str, Any]", item), where, check_engine)
        if engine["name"] in engines:
            raise WireError("BadField", f"{where}.name", "two engines have this name")
        engines[engine["name"]] = engine
    return list(engines.values())


def _engine(item: Mapping[str, Any], where: str, check_engine: CheckEngine) -> Mapping[str, Any]:
    if item.get("apiKeyFile") is not None:
        # Whoever may name both a file of the node and an address could have the one sent there.
        detail = "files of the node are named in the node's own settings only"
        raise WireError("Forbidden", f"{where}.apiKeyFile", detail)
    try:
        engine = check_engine(item)
    except WireError as error:
        field = f"{where}.{error.field}" if error.field else where
        raise WireError(error.reason, field, error.detail) from error
    host = urlsplit(str(engine["url"])).hostname or ""
    if _forbidden_host(host):
        detail = f"{clip(host)} is no address of an engine"
        raise WireError("Forbidden", f"{where}.url", detail)
    return engine


def _forbidden_host(host: str) -> bool:
    """Say whether a host is an address that clouds keep for their machines' own secrets."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        # Letters and escapes that a resolver takes for other ones could spell such an address.
        odd = not host.isascii() or "%" in host or _ODD_ADDRESS.fullmatch(host)
        return bool(odd) or host.rstrip(".") in _METADATA_NAMES
    return any(
        one.is_link_local or one.is_multicast or one.is_unspecified or one in _METADATA_ADDRESSES
        for one in (address, *_inside(address))
    )


def _inside(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """Give the IPv4 addresses to which an IPv6 address may lead."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if any(address in network for network in _CARRIERS):
        yield IPv4Address(int(address) & 0xFFFF_FFFF)


def wrong_kind(field: str, needed: str, value: Any) -> WireError:
    """Give the error for a value of the wrong kind."""
    # The kind and not the value: what stands in the wrong place may be a secret.
    return WireError("BadField", field, f"{needed} is needed, not {_kind(value)}")


def _kind(value: object) -> str:
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return "null"

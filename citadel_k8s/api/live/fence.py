"""Which addresses may be dialled. What a node says of itself is a claim, and never a permission.

An address must lie in an allowed network. Some kinds of addresses are special: what lies there is
this host itself, a cloud's store of secrets, many hosts at once, or another address in disguise.
Those must be allowed by a network that is no larger than their kind: ``0.0.0.0/0`` allows none of
them. Two kinds are never dialled.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from citadel_k8s.errors import ConfigError

Address = IPv4Address | IPv6Address
"""An address that is one, without a zone."""

Network = IPv4Network | IPv6Network
"""A range of them."""

NEVER: Final[tuple[Network, ...]] = (
    IPv4Network("0.0.0.0/8"),  # "this host", on this network
    IPv6Network("::/128"),
    IPv4Network("169.254.0.0/16"),  # link-local; clouds keep their machines' secrets there
    IPv6Network("fe80::/10"),
)
"""Networks that nobody can allow."""

SPECIAL: Final[tuple[Network, ...]] = (
    IPv4Network("127.0.0.0/8"),
    IPv6Network("::1/128"),
    IPv4Network("224.0.0.0/4"),
    IPv6Network("ff00::/8"),
    IPv4Network("240.0.0.0/4"),  # reserved, and the broadcast address
    IPv4Network("192.0.0.0/24"),  # of protocols; Oracle's metadata among them
    IPv4Network("100.100.100.200/32"),  # Alibaba's metadata
    IPv4Network("168.63.129.16/32"),  # Azure's
    IPv6Network("fd00:ec2::254/128"),  # AWS's
    IPv6Network("fd20:ce::254/128"),  # Google's
    IPv4Network("100.100.100.100/32"),  # the mesh's own services on this very host
    IPv6Network("fd7a:115c:a1e0::53/128"),
    IPv6Network("::ffff:0:0/96"),  # IPv4 in IPv6: mapped,
    IPv6Network("::/96"),  # compatible,
    IPv6Network("64:ff9b::/96"),  # translated,
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2002::/16"),  # 6to4,
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("fec0::/10"),  # site-local, long given up
    IPv6Network("100::/64"),  # discarded
)
"""Kinds of addresses that a larger network does not allow."""

_TRANSLATED: Final = (
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("::/96"),
    IPv6Network("64:ff9b::/96"),
)
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]*|0x[0-9a-f]*", re.IGNORECASE)
_NAME_MAX: Final = 253


class Fence:
    """Says which addresses may be dialled.

    Parameters
    ----------
    cidrs : iterable of str
        The allowed networks.

    Raises
    ------
    ConfigError
        If one is none.
    """

    def __init__(self, cidrs: Iterable[str]) -> None:
        self._allowed = [_network(cidr) for cidr in cidrs]

    def admits(self, address: Address) -> bool:
        """Whether an address may be dialled."""
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        if any(address in network for network in NEVER):
            return False
        if any(one in network for one in _inside(address) for network in NEVER):
            return False
        homes = [network for network in self._allowed if address in network]
        for kind in SPECIAL:
            if address in kind:
                homes = [n for n in homes if _within(n, kind)]
        return bool(homes)


def literal(text: str) -> Address | None:
    """Read an address in its one usual spelling; None for a name, and for every other spelling.

    Octal, hexadecimal and shortened ones are read by resolvers, each in its own way.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    zoned = isinstance(address, IPv6Address) and address.scope_id is not None
    return None if zoned else address


def is_name(text: str) -> bool:
    """Say whether a text is a host's name, and no spelling of an address."""
    bare = text.removesuffix(".")
    if not bare or len(bare) > _NAME_MAX or not bare.isascii():
        return False
    labels = bare.split(".")
    # What ends in a number is taken for an address by some resolver.
    return all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])


def _inside(address: Address) -> Iterator[IPv4Address]:
    """Give the IPv4 addresses to which an IPv6 address may lead."""
    if isinstance(address, IPv4Address):
        return
    if any(address in network for network in _TRANSLATED) and not address.is_loopback:
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def _within(network: Network, kind: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(kind, IPv4Network) and network.subnet_of(kind)
    return isinstance(kind, IPv6Network) and network.subnet_of(kind)


def _network(cidr: str) -> Network:
    try:
        return ipaddress.ip_network(cidr, strict=False)
    except ValueError as error:
        raise ConfigError(f"live.allowedCidrs: {cidr[:64]!r} is no network") from error

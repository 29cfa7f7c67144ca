"""Where a request came from: the other end of the connection, or whom a trusted proxy names."""

import ipaddress
from collections.abc import Iterable

from aiohttp import web

from citadel_k8s.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN = "unknown"
"""What a request is said to come from that came over no network, such as a Unix socket."""


class Addresses:
    """Tells addresses, believing ``X-Forwarded-For`` only of proxies from given networks.

    Parameters
    ----------
    trusted : iterable of str
        Networks in CIDR notation.

    Raises
    ------
    ConfigError
        If one of them is none.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        try:
            self._trusted: list[Network] = [ipaddress.ip_network(cidr) for cidr in trusted]
        except ValueError as error:
            raise ConfigError(f"settings: trustedProxies: {error}") from error

    def of(self, request: web.Request) -> str:
        """Give the address: the last in the chain that is not itself a trusted proxy."""
        peer = request.remote or UNKNOWN
        if not self._trusted or not self.trusts(peer):
            return peer
        named = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        for text in reversed(named):
            address = _parsed(text.strip())
            if address is None:
                break  # what stands before nonsense was written by whoever wrote the nonsense
            peer = str(address)
            if not self._holds(address):
                break
        return peer

    def trusts(self, text: str) -> bool:
        """Say whether an address is a trusted proxy's."""
        address = _parsed(text) if self._trusted else None
        return address is not None and self._holds(address)

    def _holds(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def neighbourhood(text: str) -> str:
    """Give what one caller can have at will: an IPv4 address, or 64 bits of an IPv6 address."""
    if ":" not in text:
        return text
    address = _parsed(text)
    return text if address is None else f"{int(address) >> 64:x}"


def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None  # noqa: PLR2004
    return mapped or address

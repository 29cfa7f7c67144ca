"""Where a request comes from: which site's page sent it, and which address."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from citadel_k8s.api.frame.refusal import RefusalError, forbidden
from citadel_k8s.errors import ConfigError

CSRF_HEADER: Final = "X-Citadel-CSRF"
"""Header that our own page sends with each change; its value is ``1``. Another site's page cannot
set it without asking first (CORS), and is never allowed to."""

_HARMLESS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


class SameSite:
    """Whether a request with a browser's own credential was meant by our page.

    A cookie, and a header that a proxy adds, come with every request of the browser, whichever
    page made it send one. A change therefore needs ``X-Citadel-CSRF: 1`` or an ``Origin`` that is
    ours; so does a WebSocket, which no browser asks permission for, if it names an ``Origin``.

    Parameters
    ----------
    public_url : str or None
        How browsers reach us; without it an ``Origin`` is held against the ``Host`` header.
    """

    def __init__(self, public_url: str | None) -> None:
        self._own = origin_of(public_url) if public_url else None

    def check(self, request: web.Request) -> None:
        """Let a request pass.

        Raises
        ------
        RefusalError
            403 ``csrf``, if another site's page may have sent it.
        """
        upgrade = request.headers.get(hdrs.UPGRADE, "").lower()
        # A change stays one whatever it asks to be upgraded to.
        if request.method == hdrs.METH_GET and upgrade == "websocket":
            if hdrs.ORIGIN in request.headers and not self._ours(request):
                raise forbidden("a page of another site must not open this stream")
            return
        if request.method in _HARMLESS or request.headers.get(CSRF_HEADER) == "1":
            return
        if self._own is not None and self._ours(request):
            return
        raise RefusalError(
            403, "csrf", f"a change needs the header {CSRF_HEADER}: 1, or an Origin of ours"
        )

    def _ours(self, request: web.Request) -> bool:
        given = request.headers.getall(hdrs.ORIGIN, [])
        if len(given) != 1:
            return False
        if self._own is not None:
            return given[0].lower() == self._own
        return urlsplit(given[0]).netloc.lower() == request.host.lower()


def origin_of(url: str) -> str:
    """Give the origin of a URL as browsers write it: ``https://host`` or ``https://host:port``.

    Raises
    ------
    ConfigError
        If it has none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"publicUrl: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError("publicUrl must be http://host or https://host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != usual else "")


class Networks:
    """Ranges of addresses.

    Raises
    ------
    ConfigError
        If one is none.
    """

    def __init__(self, ranges: Iterable[str]) -> None:
        try:
            self._ranges = [ip_network(one) for one in ranges]
        except ValueError as error:
            raise ConfigError(f"trustedHeader.fromCidrs: {error}") from error

    def have(self, address: str | None) -> bool:
        """Say whether an address is in one of them; one that is no address is in none."""
        try:
            found = ip_address((address or "").partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in one for one in self._ranges if one.version == found.version)


def peer_address(request: web.Request) -> str | None:
    """Give the address at the other end of the connection itself, whatever any header says."""
    transport = request.transport
    name: Any = transport.get_extra_info("peername") if transport is not None else None
    # A Unix socket's is a text, an empty one; then there is no address to believe.
    return str(name[0]) if isinstance(name, tuple) and name else None  # pyright: ignore[reportUnknownArgumentType]

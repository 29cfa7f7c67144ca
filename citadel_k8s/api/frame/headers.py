"""Headers of every answer: its id, and what no browser may do with it."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

REQUEST_ID: Final = "X-Request-Id"
"""Header that names a request."""

REQUEST_KEY: Final = web.RequestKey("request_id", str)
"""Where a request keeps its id."""

ADDRESS_KEY: Final = web.RequestKey("address", str)
"""Where a request keeps the address that it came from, for the authenticator."""

SERVER: Final = {"Server": "citadel-k8s"}
"""In place of what names the library and its version."""

_ALWAYS: Final = {
    **SERVER,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
"""For every answer."""

_POLICY: Final = "Content-Security-Policy"
_NO_PAGE: Final = "default-src 'none'; frame-ancestors 'none'"
"""Of an answer that is no page: should a browser show it as one, it does nothing."""

_STRICT_TRANSPORT: Final = "max-age=31536000"
"""A year, the usual value. Not for subdomains, which may be another's."""

Hook = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def header_hook(*, tls: bool) -> Hook:
    """Give what sets the headers of an answer before it is sent; a page brings its own policy."""
    always = {**_ALWAYS, **({"Strict-Transport-Security": _STRICT_TRANSPORT} if tls else {})}

    async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers.update(always)
        headers.setdefault(_POLICY, _NO_PAGE)
        if (request_id := request.get(REQUEST_KEY)) is not None:
            headers[REQUEST_ID] = request_id

    return set_headers

"""The page's routes: the page at ``/`` and ``/device``, its files, and what it asks at first."""

from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from citadel_k8s.api.frame.answers import takes
from citadel_k8s.api.frame.refusal import not_found
from citadel_k8s.api.frame.route import PUBLIC, Call, Route, holds
from citadel_k8s.api.page.files import Built, File, Variant
from citadel_k8s.api.page.policy import PAGE_HEADERS

NOT_BUILT: Final = (
    "The Fabric page is not built into this installation: run `make page` in the sources and start"
    " again, or install a wheel or an image that has it. The API is there: /api/openapi.json\n"
)
"""What is said where the page would be."""

_AGAIN: Final = "no-cache"
"""Kept, and asked about each time: the page names the files of its own build."""

_FOR_EVER: Final = "public, max-age=31536000, immutable"
"""Of a name that holds a digest: another content has another name."""

_TAG: Final = "page"
_LOG_EVERY: Final = 20


class PageQuery(BaseModel):
    """Whatever it is: the page reads its address itself."""

    model_config = ConfigDict(extra="allow")


def routes(built: Built) -> list[Route]:
    """Give the routes.

    Parameters
    ----------
    built : Built
        The files.
    """

    async def page(call: Call) -> web.Response:
        if built.index is None:
            return _not_built()
        return _given(call, built.index, PAGE_HEADERS)

    async def icon(call: Call) -> web.Response:
        return _given(call, _known(built.beside.get(call.part("icon"))))

    async def asset(call: Call) -> web.Response:
        return _given(call, _known(built.assets.get(call.part("asset"))))

    return [
        Route("GET", "/", page, "The Fabric page (HTML).", PUBLIC, _TAG, query=PageQuery, cost=0),
        Route(
            "GET",
            "/device",
            page,
            "The page, where a device's code is approved (HTML).",
            PUBLIC,
            _TAG,
            query=PageQuery,
            cost=0,
        ),
        Route(
            "GET",
            "/{icon:favicon[a-z-]*[.]svg}",
            icon,
            "The page's icons.",
            PUBLIC,
            _TAG,
            cost=0,
            name="getIcon",
            log_every=_LOG_EVERY,
        ),
        Route(
            "GET",
            "/assets/{asset}",
            asset,
            "Scripts and styles of the page.",
            PUBLIC,
            _TAG,
            cost=0,
            name="getAsset",
            log_every=_LOG_EVERY,
        ),
    ]


def _known(file: File | None) -> File:
    if file is None:
        raise not_found("there is no such file of the page here; load the page again")
    return file


def _given(call: Call, file: File, more: dict[str, str] | None = None) -> web.Response:
    """Answer with a file, or with 304 to who has it."""
    asked = call.request.headers
    variant, encoding = _chosen(file, asked.get("Accept-Encoding", ""))
    caching = _FOR_EVER if file.hashed else _AGAIN
    headers = {"ETag": variant.tag, "Cache-Control": caching, **(more or {})}
    if file.packed is not None:
        headers["Vary"] = "Accept-Encoding"
    if holds(asked.get("If-None-Match"), variant.tag):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = file.content_type
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    return web.Response(body=variant.body, headers=headers)


def _chosen(file: File, accepted: str) -> tuple[Variant, str | None]:
    """Give the smallest form of a file that is accepted, and what unpacks it."""
    if file.smaller is not None and takes(accepted, "br"):
        return file.smaller, "br"
    if file.packed is not None and takes(accepted, "gzip"):
        return file.packed, "gzip"
    return file.plain, None


def _not_built() -> web.Response:
    return web.Response(
        text=NOT_BUILT,
        status=503,
        content_type="text/plain",
        headers={"Cache-Control": "no-store"},
    )

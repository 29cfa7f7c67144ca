"""Two plain pages: one where sign-in ends, one where a device's code is to be approved.

They have no script, take nothing, and look nobody up; what a code is, the visitor has typed.
"""

import base64
import hashlib
import html
import json
import shlex
from typing import Final

from aiohttp import web
from pydantic import BaseModel, Field

from citadel_k8s.api.frame.route import PUBLIC, Call, Route

CODE_MAX: Final = 32
"""Longest code that is shown, in characters; ours have nine."""

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}"
    "pre{overflow-x:auto;padding:.75rem;border:1px solid}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title>'
    f"<style>{_STYLE}</style></head><body><h1>{{title}}</h1>{{body}}</body></html>\n"
)
_START: Final = (
    "<p>This is citadel-k8s: every GPU node, and every model that it serves.</p><ul>"
    '<li><a href="/api/session">Who am I?</a> It says whether you are signed in.</li>'
    '<li><a href="/api/fabric/nodes">Nodes</a></li>'
    '<li><a href="/api/fabric/events/list">What happened</a></li>'
    '<li><a href="/api/openapi.json">The API</a></li>'
    '<li><a href="/device">Let a device in</a></li></ul>'
)
_DEVICE: Final = (
    "<p>Compare the code with the one on the device&rsquo;s own screen. Then look at what asks,"
    " and let it in. This takes the role editor; $COOKIE is your session&rsquo;s:"
    " <code>__Host-citadel_session=&hellip;</code>.</p><pre>{look}</pre><pre>{approve}</pre>"
    '<p><a href="/">Start</a></p>'
)


class DeviceQuery(BaseModel):
    """What a device's link has: its code."""

    code: str = Field(default="CODE", max_length=CODE_MAX)
    user_code: str = Field(default="", max_length=CODE_MAX)


def routes(public_url: str | None = None) -> list[Route]:
    """Give the routes.

    Parameters
    ----------
    public_url : str or None
        How the API is reached, for the commands; None: a placeholder.
    """
    base = public_url.rstrip("/") if public_url else "https://this-host"

    async def start(_call: Call) -> web.Response:
        return _page("citadel-k8s", _START)

    async def device(call: Call) -> web.Response:
        asked = call.asked(DeviceQuery)
        code = asked.user_code or asked.code
        return _page("Let a device in", _commands(base, code))

    return [
        Route("GET", "/", start, "A page to start from (HTML).", PUBLIC, "pages"),
        Route(
            "GET",
            "/device",
            device,
            "How a device's code is approved (HTML).",
            PUBLIC,
            "pages",
            query=DeviceQuery,
        ),
    ]


def _commands(base: str, code: str) -> str:
    curl = 'curl -H "Cookie: $COOKIE"'
    at = f"{base}/api/fabric/device-auth"
    asked = shlex.quote(f"user_code={code}")
    look = f"{curl} -G --data-urlencode {asked} {shlex.quote(f'{at}/pending')}"
    body = shlex.quote(json.dumps({"user_code": code}))
    approve = (
        f"{curl} -H 'X-Citadel-CSRF: 1' -H 'Content-Type: application/json' \\\n"
        f"  -d {body} {shlex.quote(f'{at}/approve')}"
    )
    return _DEVICE.format(look=html.escape(look), approve=html.escape(approve))


def _page(title: str, body: str) -> web.Response:
    return web.Response(
        text=_PAGE.replace("{title}", html.escape(title)).replace("{body}", body),
        content_type="text/html",
        headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"},
    )

"""One question to the API: whether it is ready."""

from typing import Any, Final, cast

import aiohttp
import pydantic_core

from citadel_k8s.collectors.lines import clean
from citadel_k8s.config.wayout import way_out

ASK_TIMEOUT: Final = 4.0
"""Seconds for the whole question, within a check's deadline."""

BODY_MAX: Final = 16 * 1024
"""Bytes read of an answer; that of ``/readyz`` has 200."""

_OK: Final = 200


async def ready(url: str) -> str | None:
    """Ask ``/readyz``; give why it is not ready, None if it is."""
    timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT)
    try:
        async with (
            # With `trust_env` it would show what ~/.netrc has for this host.
            aiohttp.ClientSession(timeout=timeout, proxy=way_out(url)) as http,
            http.get(f"{url.rstrip('/')}/readyz", allow_redirects=False) as answer,
        ):
            body = await answer.content.read(BODY_MAX)
            return None if answer.status == _OK and _says_so(body) else _told(answer.status, body)
    except TimeoutError:
        return f"no answer within {ASK_TIMEOUT:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return clean(str(error) or type(error).__name__)


def _says_so(body: bytes) -> bool:
    """Tell whether an answer of 200 is the API's own and not a login page's."""
    return _object(body).get("ok") is True


def _told(status: int, body: bytes) -> str:
    said = _object(body) or body.decode(errors="replace")
    return clean(f"{status}: {said}")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found: Any = pydantic_core.from_json(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

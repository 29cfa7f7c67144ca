"""Turns what was raised into an answer of the contract's shape, and never into a traceback."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from citadel_k8s.api.frame.answers import JSON_TYPE
from citadel_k8s.api.frame.refusal import RefusalError, bad_request, unavailable
from citadel_k8s.errors import DatabaseError, SchemaError, StreamError, WireError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.stores.postgres.refused import RefusedError

_ROUTER: Final = {
    404: ("not_found", "there is nothing here"),
    405: ("method_not_allowed", "this cannot be done here; see the header Allow"),
    413: ("too_large", "the body is too large"),
}
"""What the router's own refusals are called."""

_AWAY: Final = "{} is away or slow; try again"
"""What is told of what is behind the API: the log has its address, the answer has not."""

NO_SCHEMA: Final = (
    "the database's schema is missing, or not this program's; run citadel-k8s db upgrade"
)
"""What is told to everybody who asks while that is so."""

NO_SCHEMA_SECONDS: Final = 15.0
"""Seconds after which to come again then: a person has to do something first."""

_REFUSED: Final = {
    "exists": (409, "exists"),
    "missing": (404, "not_found"),
    "invalid": (400, "bad_request"),
    "too_many": (409, "too_many"),
}
"""What the database's refusals are called."""


def refusal_of(error: Exception, bad_values: tuple[type[Exception], ...]) -> RefusalError | None:
    """Give what an error is answered with; None if it is a defect.

    Parameters
    ----------
    error : Exception
        What a handler raised.
    bad_values : tuple of type
        Errors of values that no store takes: the caller's fault.
    """
    match error:
        case RefusalError():
            refusal = error
        case WireError():
            refusal = bad_request(str(error))
        case RefusedError():
            refusal = RefusalError(*_REFUSED[error.reason], str(error))
        case web.HTTPException():
            name, text = _ROUTER.get(error.status, ("refused", error.reason))
            refusal = RefusalError(error.status, name, text)
        case SchemaError():
            refusal = unavailable(NO_SCHEMA, retry_after=NO_SCHEMA_SECONDS)
        case DatabaseError():
            refusal = unavailable(_AWAY.format("the database"))
        case StreamError():
            refusal = unavailable(_AWAY.format("Redis"))
        case _ if isinstance(error, bad_values):
            refusal = bad_request("a value cannot be stored: out of range, or against another")
        case _:
            return None
    return refusal


def refusal_response(
    refusal: RefusalError,
    request_id: str | None,
    now: float,
    extra: Mapping[str, str] | None = None,
) -> web.Response:
    """Give the answer to a refusal.

    Parameters
    ----------
    refusal : RefusalError
        What it is.
    request_id : str or None
        What the answer names the request by.
    now : float
        Seconds since the epoch: ``reset_at`` is told as a date.
    extra : mapping or None
        Further headers.
    """
    headers = {"Content-Type": JSON_TYPE, "Cache-Control": "no-store", **(extra or {})}
    body: dict[str, Any] = {"error": refusal.error, "error_description": refusal.description}
    if refusal.retry_after is not None:
        # Rounded up: who waits for as long as told must find the door open.
        seconds = max(1, math.ceil(refusal.retry_after))
        body["retry_after"] = seconds
        headers["Retry-After"] = str(seconds)
        if refusal.limit is not None:
            body |= {"limit": refusal.limit, "window": refusal.window}
            body["reset_at"] = format_timestamp(math.ceil(now + seconds))
    if refusal.status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.status == 426:  # noqa: PLR2004
        headers |= {"Upgrade": "websocket", "Connection": "Upgrade"}
    if request_id is not None:
        body["request_id"] = request_id
    return web.Response(body=json.dumps(body).encode(), status=refusal.status, headers=headers)

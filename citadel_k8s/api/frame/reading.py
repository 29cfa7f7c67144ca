"""Reads query and body: bounded in size, depth, time and errors, and of the shape asked for."""

import asyncio
import json
from typing import Any, Final, get_args, get_origin

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from citadel_k8s.api.frame.refusal import RefusalError, bad_request

ERRORS_TOLD: Final = 5
"""Problems of one body that are told: whoever mends five asks again anyway."""

ERRORS_LISTED: Final = 100
"""Problems beyond which none is looked at: a body of 1 MiB can have 70,000, and to list those
takes as long as to find them."""

BODY_SECONDS: Final = 15.0
"""Seconds for a body of at most 1 MiB to arrive: 70 kB/s, which the worst uplink does."""

_ODD_NUMBERS: Final = (b"NaN", b"Infinity")
_ANY_TYPE: Final = "application/octet-stream"


class QueryReader:
    """Validates the query of a route.

    Parameters
    ----------
    model : type or None
        What it is made into; None takes no query at all. One that allows extras takes any.
    """

    def __init__(self, model: type[BaseModel] | None) -> None:
        self._validator = model.__pydantic_validator__ if model else None
        self._open = model is not None and model.model_config.get("extra") == "allow"
        fields = model.model_fields if model else {}
        self._names = {
            field.alias or name: _repeats(field.annotation) for name, field in fields.items()
        }

    def read(self, request: web.Request) -> BaseModel | None:
        """Give the validated query; of a name given twice the last one counts.

        Raises
        ------
        RefusalError
            400 with the name at fault.
        """
        values: dict[str, Any] = {}
        if request.query_string:
            for name, text in request.query.items():
                repeats = self._names.get(name)
                if repeats is None and not self._open:
                    raise bad_request(f"query: {name[:64]!r} is not known here{self._known()}")
                if "\0" in text:
                    raise bad_request(f"query: {name}: a NUL character")
                if repeats:
                    values.setdefault(name, []).append(text)
                else:
                    values[name] = text
        if self._validator is None:
            return None
        try:
            # Not strict, whatever the model says: in a query all values are texts.
            model: BaseModel = self._validator.validate_python(
                values, strict=False, by_alias=True, by_name=False
            )
        except ValidationError as error:
            raise bad_request(f"query: {told(error)}") from None
        return model

    def _known(self) -> str:
        return f"; known are {', '.join(sorted(self._names))}" if self._names else ""


class BodyReader:
    """Reads and validates the JSON body of a route.

    Parameters
    ----------
    model : type
        What it is made into.
    limit : int
        Bytes at most.
    seconds : float
        Time that it may take to arrive.
    """

    def __init__(self, model: type[BaseModel], limit: int, seconds: float = BODY_SECONDS) -> None:
        self._validator = model.__pydantic_validator__
        self._limit = limit
        self._seconds = seconds

    async def read(self, request: web.Request) -> BaseModel:
        """Give the validated body.

        Raises
        ------
        RefusalError
            400 with the path of the field at fault; 408 if it does not arrive; 413 if it is too
            large; 415 if it is not JSON by its own word.
        """
        _check_type(request)
        data = await read_body(request, self._limit, self._seconds)
        if any(odd in data for odd in _ODD_NUMBERS):
            _check_numbers(data)
        try:
            model: BaseModel = self._validator.validate_json(data)
        except ValidationError as error:
            raise bad_request(f"body: {told(error)}") from None
        return model


async def read_body(request: web.Request, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """Give the body as it is.

    Raises
    ------
    RefusalError
        408 if it does not arrive in time, 413 if it is larger than ``limit`` bytes, 400 if it is
        cut off or its framing is broken, 415 if it is compressed.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise RefusalError(415, "unsupported_media_type", "a body must not be compressed")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    content = request.content
    if content.is_eof():  # the usual case: head and body came together
        data = content.read_nowait(-1)
        if len(data) > limit:
            raise _too_large(limit)
        return data
    try:
        async with asyncio.timeout(seconds):
            return await _gather(request, limit)
    except TimeoutError:
        raise RefusalError(408, "timeout", f"the body did not arrive in {seconds:g} s") from None
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise bad_request("the body is cut off or its framing is broken") from error


async def _gather(request: web.Request, limit: int) -> bytes:
    data = bytearray()
    while chunk := await request.content.readany():
        data += chunk
        if len(data) > limit:
            raise _too_large(limit)
    return bytes(data)


def _too_large(limit: int) -> RefusalError:
    return RefusalError(413, "too_large", f"the body is larger than {limit} bytes")


def _check_type(request: web.Request) -> None:
    kind = request.content_type  # what has no header counts as octets
    if kind in {"application/json", _ANY_TYPE} or kind.endswith("+json"):
        return
    raise RefusalError(415, "unsupported_media_type", "the body must be application/json")


def _check_numbers(data: bytes) -> None:
    # What the parser takes for a number and JSON does not know.
    try:
        json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise bad_request("body: not JSON") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def told(error: ValidationError) -> str:
    """Say what does not fit and where, in few words, whatever was sent."""
    count = error.error_count()
    if count > ERRORS_LISTED:
        return f"{count} values do not fit"
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    texts = [f"{_path(problem['loc'])}{problem['msg']}" for problem in problems[:ERRORS_TOLD]]
    more = count - len(texts)
    return "; ".join(texts) + (f"; and {more} more" if more > 0 else "")


def _path(loc: tuple[int | str, ...]) -> str:
    path = ".".join(str(part)[:64] for part in loc[:8])
    return f"{path}: " if path else ""


def _repeats(annotation: Any) -> bool:
    """Say whether a field takes more than one value."""
    origin = get_origin(annotation) or annotation
    if origin in {list, tuple, set, frozenset}:
        return True
    return any(_repeats(part) for part in get_args(annotation) if part is not type(None))

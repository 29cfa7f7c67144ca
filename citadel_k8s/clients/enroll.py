"""Enrolment of a device (RFC 8628): a code on the screen, a yes in a browser, a token on disk."""

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from citadel_k8s.aio.clock import Clock
from citadel_k8s.clients.enrolment import EnrolError, Enrolment
from citadel_k8s.config.wayout import way_out
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.proxy import (
    TEXT_MAX,
    json_object,
    moved,
    proxy_base,
    said,
    wait_asked,
)

REQUEST_TIMEOUT: Final = 10.0
"""Seconds for one request."""

EXPIRES_MAX: Final = 600.0
"""Seconds after which an enrolment is given up. Source: the wire contract."""

INTERVAL: Final = (1.0, 5.0, 60.0)
"""Least, usual and greatest seconds between two questions. The usual is RFC 8628's."""

SLOW_DOWN: Final = 5.0
"""Seconds by which "slow_down" lengthens the interval. Source: RFC 8628, section 3.5."""

CODE_MAX: Final = 4096
"""Longest text taken from an answer, in characters."""

_BODY_MAX: Final = 64 * 1024
_START: Final = "/api/fabric/device-auth/start"
_POLL: Final = "/api/fabric/device-auth/token"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_OK: Final = 200
_BAD_REQUEST: Final = 400
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_UNAVAILABLE: Final = 503

_FATAL: Final = {
    "expired_token": "the code is no longer valid; start again",
    "access_denied": "it was refused in the browser",
}


async def enroll(
    base_url: str,
    hostname: str,
    machine_id: str,
    *,
    tell: Callable[[str], None],
    clock: Clock,
    session: aiohttp.ClientSession | None = None,
    insecure: bool = False,
    force_new: bool = False,
) -> Enrolment:
    """Ask for a code, show it, and wait until somebody approves it.

    Parameters
    ----------
    base_url : str
        Where the platform is, ``https://host``.
    hostname, machine_id : str
        What the device is called and recognised by; empty ones are not sent.
    tell : callable
        Shows a line to the person at the screen.
    clock : Clock
        Measures how long the code is valid.
    session : aiohttp.ClientSession or None
        What to ask with; one of its own if None.
    insecure : bool
        Allow ``http://`` to other hosts than this one: the token comes back in clear.
    force_new : bool
        Register a new device even if this one is known.

    Raises
    ------
    EnrolError
        If it was refused, ran out of time, or the platform does not answer.
    ConfigError
        If the address is none.
    """
    base = proxy_base(base_url, insecure=insecure)
    if session is not None:
        enroller = _Enroller(base, session, clock, tell, insecure=insecure)
        return await enroller.run(hostname, machine_id, force_new=force_new)
    async with aiohttp.ClientSession(
        proxy=way_out(base), cookie_jar=aiohttp.DummyCookieJar()
    ) as own:
        enroller = _Enroller(base, own, clock, tell, insecure=insecure)
        return await enroller.run(hostname, machine_id, force_new=force_new)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    document: dict[str, Any] | None
    text: str
    wait: float | None


class _TransientError(Exception):
    """No answer, or one that says nothing about the enrolment."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class _Enroller:
    """One enrolment with one platform."""

    def __init__(
        self,
        base: str,
        session: aiohttp.ClientSession,
        clock: Clock,
        tell: Callable[[str], None],
        *,
        insecure: bool,
    ) -> None:
        self._base = base
        self._session = session
        self._clock = clock
        self._tell = tell
        self._insecure = insecure

    async def run(self, hostname: str, machine_id: str, *, force_new: bool) -> Enrolment:
        started = self._clock.monotonic()
        grant = await self._start(hostname, machine_id, force_new=force_new)
        user_code = clip(_text(grant, "user_code"))
        # The platform's own address of its page may be one that this machine does not know.
        page = f"{self._base}/device?code={quote(user_code)}"
        self._tell(f"Open {page} in a browser and confirm the code {user_code}.")
        expires = _number(grant, "expires_in", EXPIRES_MAX, 1.0, EXPIRES_MAX)
        least, usual, greatest = INTERVAL
        interval = _number(grant, "interval", usual, least, greatest)
        device_code = _text(grant, "device_code")
        return await self._wait(device_code, interval, started + expires)

    async def _start(self, hostname: str, machine_id: str, *, force_new: bool) -> Mapping[str, Any]:
        body: dict[str, Any] = {"client_id": "citadel-cli", "client_version": "1.0.0"}
        if hostname:
            body["hostname"] = hostname
        if machine_id:
            body["machine_id"] = machine_id
        if force_new:
            body["force_new"] = True
        try:
            answer = await self._ask(_START, body)
        except _TransientError as error:
            raise EnrolError(str(error)) from error
        if answer.status == _OK and answer.document is not None:
            return answer.document
        if answer.status == _TOO_MANY:
            later = f"in {math.ceil(answer.wait)} s" if answer.wait else "later"
            raise EnrolError(f"too many enrolments were started; try again {later}")
        if answer.status == _UNAVAILABLE:
            raise EnrolError("the platform takes no enrolments just now; try again in a minute")
        raise EnrolError(f"POST {_START}: status {answer.status}: {answer.text}")

    async def _wait(self, device_code: str, interval: float, end: float) -> Enrolment:
        body = {"device_code": device_code, "grant_type": _GRANT}
        pause = interval
        while self._clock.monotonic() + pause < end:
            await asyncio.sleep(pause)
            try:
                answer = await self._ask(_POLL, body)
            except _TransientError as error:
                # Source: RFC 8628, section 3.5: what is not answered is asked less often.
                pause = max(min(2 * pause, INTERVAL[2]), error.wait or 0.0)
                continue
            if answer.status == _OK:
                return self._success(answer)
            interval += _slower(answer)
            pause = interval
        raise EnrolError(
            "nobody confirmed the code in time, or the platform could not be asked; start again"
        )

    def _success(self, answer: _Answer) -> Enrolment:
        document = answer.document or {}
        if not _optional(document, "authkey"):
            raise EnrolError(f"POST {_POLL}: status {_OK}: the answer has no authkey")
        api = _optional(document, "api_base_url")
        return Enrolment(
            authkey=_text(document, "authkey"),
            device_api_token=_optional(document, "device_api_token"),
            api_base_url=proxy_base(api, insecure=self._insecure) if api else self._base,
            org_id=_optional(document, "org_id"),
            org_name=_optional(document, "org_name"),
            user_email=_optional(document, "user_email"),
            user_name=_optional(document, "user_name"),
            nexus_url=_optional(document, "nexus_url"),
        )

    async def _ask(self, path: str, body: Mapping[str, Any]) -> _Answer:
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT),
                self._session.post(
                    self._base + path,
                    data=json.dumps(body),
                    headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
                    allow_redirects=False,
                ) as response,
            ):
                content = await _body(response)
        except TimeoutError as error:
            raise _TransientError(f"POST {path}: no answer within {REQUEST_TIMEOUT:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            why = clip(f"{type(error).__name__}: {error}", TEXT_MAX)
            raise _TransientError(f"POST {path}: {why}") from error
        document = json_object(content)
        text = _reason(response, document, content)
        wait = wait_asked(document, response.headers.get("Retry-After", ""), self._clock.now())
        answer = _Answer(response.status, document, text, wait)
        if path == _POLL and (answer.status == _TOO_MANY or answer.status >= _SERVER_ERRORS):
            raise _TransientError(f"POST {path}: status {answer.status}: {text}", wait)
        return answer


async def _body(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > _BODY_MAX:
            response.close()
            raise EnrolError(f"the platform's answer is over {_BODY_MAX} bytes")
    return bytes(content)


def _reason(
    response: aiohttp.ClientResponse, document: Mapping[str, Any] | None, content: bytes
) -> str:
    if response.status >= _BAD_REQUEST:
        return said(document, content) or "no reason given"
    if "Location" in response.headers:
        return f"it redirects to {moved(response.headers['Location'])}; use the address meant"
    # Not quoted: half a success can hold a token.
    return "not what was expected"


def _slower(answer: _Answer) -> float:
    """Give the seconds to add to the interval, or raise what the refusal means."""
    error = (answer.document or {}).get("error")
    if answer.status == _BAD_REQUEST and error == "authorization_pending":
        return 0.0
    if answer.status == _BAD_REQUEST and error == "slow_down":
        return SLOW_DOWN
    reason = _FATAL.get(error) if isinstance(error, str) else None
    raise EnrolError(reason or f"POST {_POLL}: status {answer.status}: {answer.text}")


def _text(document: Mapping[str, Any], key: str) -> str:
    value = _optional(document, key)
    if not value:
        raise EnrolError(f"the platform's answer has no {key}")
    return value


def _optional(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > CODE_MAX:
        raise EnrolError(f"the platform's answer has a {key} that is no text, or a very long one")
    return value


def _number(
    document: Mapping[str, Any], key: str, otherwise: float, least: float, most: float
) -> float:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    # The bounds first: an integer may be larger than any float.
    return float(min(max(value, least), most)) if value == value else otherwise  # noqa: PLR0124 - NaN

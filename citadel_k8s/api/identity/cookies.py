"""Cookies: the session's, and a sealed note that a browser carries through a sign-in."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from aiohttp import web

from citadel_k8s.aio.clock import Clock

SESSION: Final = "citadel_session"
"""Name of the session's cookie; with ``__Host-`` before it where cookies are secure, so that no
other host of the domain, and no plain HTTP, can set one."""

SIGN_IN: Final = "citadel_signin"
"""Name of the cookie of a sign-in under way."""

SIGN_IN_SECONDS: Final = 600
"""How long a sign-in may take, in seconds: somebody looks for a second factor."""

SEALED_MAX: Final = 2048
"""Longest sealed note, in characters."""

_RAW: Final = re.compile(r"[A-Za-z0-9_-]{20,256}")


class Cookies:
    """Sets and reads our cookies.

    Parameters
    ----------
    secure : bool
        Over TLS only; False for a demo without.
    """

    def __init__(self, *, secure: bool) -> None:
        self.secure = secure
        prefix = "__Host-" if secure else ""
        self.session = prefix + SESSION
        self.sign_in = prefix + SIGN_IN

    def session_of(self, request: web.Request) -> str | None:
        """Give the session's secret that a request carries; None if it has none that could be."""
        raw = request.cookies.get(self.session)
        return raw if raw is not None and _RAW.fullmatch(raw) else None

    def has_session(self, request: web.Request) -> bool:
        """Say whether a request carries a session's cookie, a good or a bad one."""
        return self.session in request.cookies

    def set_session(self, response: web.StreamResponse, raw: str, seconds: float) -> None:
        """Give a browser its session."""
        self._set(response, self.session, raw, int(seconds), "Strict")

    def clear_session(self, response: web.StreamResponse) -> None:
        """Take it back."""
        self._set(response, self.session, "", 0, "Strict")

    def set_sign_in(self, response: web.StreamResponse, sealed: str) -> None:
        """Give a browser what it shows again when the provider sends it back.

        Lax, since it comes back from another site; a strict one would not be shown.
        """
        self._set(response, self.sign_in, sealed, SIGN_IN_SECONDS, "Lax")

    def clear_sign_in(self, response: web.StreamResponse) -> None:
        """Take it back: it is good for one answer of the provider."""
        self._set(response, self.sign_in, "", 0, "Lax")

    def _set(
        self, response: web.StreamResponse, name: str, value: str, seconds: int, site: str
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            httponly=True,
            secure=self.secure,
            samesite=site,
        )


class Seal:
    """Signs small notes that leave this process and come back, to any replica.

    Parameters
    ----------
    secret : str
        What all replicas know and nobody else; the key is derived from it.
    purpose : str
        A note sealed for one purpose holds for no other.
    """

    def __init__(self, secret: str, purpose: str, clock: Clock) -> None:
        self._key = hmac.new(secret.encode(), f"citadel-k8s {purpose}".encode(), "sha256").digest()
        self._clock = clock

    def seal(self, note: Mapping[str, str], seconds: float) -> str:
        """Give the note as text that holds for so many seconds."""
        whole = {"until": self._clock.now() + seconds, "note": dict(note)}
        body = base64.urlsafe_b64encode(json.dumps(whole).encode()).decode().rstrip("=")
        return f"{body}.{self._mark(body)}"

    def unseal(self, text: str) -> Mapping[str, str] | None:
        """Give the note back; None if it is not one of ours, or its time is over."""
        body, _, mark = text.partition(".")
        if len(text) > SEALED_MAX or not text.isascii():
            return None
        if not hmac.compare_digest(self._mark(body), mark):
            return None
        try:
            whole: Any = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (ValueError, binascii.Error):  # pragma: no cover - what was signed can be read
            return None
        if self._clock.now() >= whole["until"]:
            return None
        return cast("Mapping[str, str]", whole["note"])

    def _mark(self, body: str) -> str:
        digest = hmac.new(self._key, body.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

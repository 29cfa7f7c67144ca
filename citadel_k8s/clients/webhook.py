"""A webhook of one's own, and the signature by which it knows who calls."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.clients.post import Poster, masked
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.domain.alertgroups import Message
from citadel_k8s.domain.alerttext import document
from citadel_k8s.models.codec import format_timestamp

SIGNATURE: Final = "X-Citadel-Signature"
"""Header with the moment and the signature: ``t=<seconds since the epoch>,v1=<hex>``."""


class Webhook:
    """One webhook.

    Parameters
    ----------
    url : str
        Where it is.
    secret : SecretFile or None
        What signs; without it nothing is signed. With one that cannot be read nothing is sent.
    labels : mapping of str to str
        What each message carries: the org, and what the settings add.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        secret: SecretFile | None = None,
        labels: Mapping[str, str] | None = None,
        *,
        poster: Poster | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._url = url
        self._secret = secret
        self._labels = dict(labels or {})
        self._poster = poster or Poster()
        self._clock = clock or SystemClock()
        self.where = masked(url)

    async def send(self, message: Message) -> None:
        """Send a message; DeliveryError if it was not taken."""
        now = self._clock.now()
        body = encoded(document(message, self._labels, format_timestamp(now)))
        headers: dict[str, str] = {}
        if self._secret is not None:
            headers[SIGNATURE] = signature(await self._secret.read(), int(now), body)
        await self._poster.post(self._url, body, headers)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._poster.close()


def encoded(fields: Mapping[str, Any]) -> bytes:
    """Give a document as JSON."""
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace")


def signature(secret: str, moment: int, body: bytes) -> str:
    """Give the header's value: HMAC-SHA256 over moment, a full stop and the body."""
    signed = f"{moment}.".encode() + body
    return f"t={moment},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"

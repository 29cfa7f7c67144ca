"""Alertmanager's API v2: it takes alerts, as often as they are told."""

from typing import Final

from citadel_k8s.clients.post import Poster, masked

_PATH: Final = "/api/v2/alerts"


class Alertmanager:
    """One Alertmanager.

    Parameters
    ----------
    url : str
        Where it is, with its path prefix if it has one.
    """

    name = "alertmanager"

    def __init__(self, url: str, poster: Poster | None = None) -> None:
        base = url.rstrip("/")
        self._url = base if base.endswith(_PATH) else base + _PATH
        self._poster = poster or Poster()
        self.where = masked(url)

    async def send(self, body: bytes) -> None:
        """Send a JSON array of alerts; DeliveryError if it was not taken."""
        await self._poster.post(self._url, body)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._poster.close()

"""Slack's incoming webhooks, and those of others who take the same, such as Mattermost."""

from typing import Final
from urllib.parse import urlsplit

from citadel_k8s.clients.post import DeliveryError, Poster
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.clients.webhook import encoded
from citadel_k8s.domain.alertgroups import Message
from citadel_k8s.domain.alerttext import text

TEXT_MAX: Final = 3000
"""Characters of a message. Source: Slack cuts at 40,000, a block of its at 3,000."""

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\u200b"})
"""What would be markup: a node's own words must not call a whole channel."""


class Slack:
    """One channel.

    Parameters
    ----------
    url_file : SecretFile
        Holds the address, which is a secret itself.
    """

    name = "slack"
    where = "slack"

    def __init__(self, url_file: SecretFile, *, poster: Poster | None = None) -> None:
        self._url_file = url_file
        self._poster = poster or Poster()

    async def send(self, message: Message) -> None:
        """Send a message; DeliveryError if it was not taken."""
        url = await self._url_file.read()
        if not _is_address(url):
            raise DeliveryError("slack: the file's content is no http:// or https:// address")
        said = text(message)[:TEXT_MAX].translate(_ESCAPES)
        await self._poster.post(url, encoded({"text": said}))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._poster.close()


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False

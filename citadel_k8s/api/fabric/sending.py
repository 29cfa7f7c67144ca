"""Sends configurations to the nodes of many orgs: each org has a stream and channels of its own."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from citadel_k8s.domain.keys import config_channel, org_key
from citadel_k8s.stores.configs import CONFIG_STREAM
from citadel_k8s.stores.configsender import ConfigMessage, ConfigSender

SENDERS_MAX: Final = 16
"""Orgs whose connections are kept: people of few orgs change nodes at the same time."""

MEMORY: Final = "citadel:configs"
"""Hash of what was sent last, by node; each org has its own."""


class Sender(Protocol):
    """Who sends to one org's nodes; `stores.configsender.ConfigSender` does."""

    async def send(self, message: ConfigMessage, at: float) -> None:
        """Send one message; raises `StreamError`."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class OrgSender(Protocol):
    """Who sends to the nodes of any org."""

    async def send(self, org_id: str, message: ConfigMessage, at: float) -> None:
        """Send one message; raises `StreamError`."""
        ...


class OrgSenders:
    """Keeps a sender for each org that was sent to lately.

    Parameters
    ----------
    make : callable
        Gives a new sender, from the arguments ``stream``, ``memory`` and ``channel`` that
        `ConfigSender` takes.
    direct_org : str or None
        The org whose nodes read Redis directly, under the names without an org. Nobody else's
        message may go there: a node of the same id would take it.
    """

    def __init__(self, make: Callable[..., Sender], *, direct_org: str | None = None) -> None:
        self._make = make
        self._direct_org = direct_org
        self._senders: OrderedDict[str, list[Sender]] = OrderedDict()

    async def send(self, org_id: str, message: ConfigMessage, at: float) -> None:
        """Send one message to a node of an org.

        Raises
        ------
        StreamError
            If it is not known to be in the stream.
        """
        senders = self._senders.get(org_id)
        if senders is None:
            senders = self._senders[org_id] = self._of(org_id)
        self._senders.move_to_end(org_id)
        for sender in senders:
            await sender.send(message, at)
        while len(self._senders) > SENDERS_MAX:
            _, old = self._senders.popitem(last=False)
            await _close(old)

    async def close(self) -> None:
        """Let go of the connections."""
        senders, self._senders = self._senders, OrderedDict()
        for several in senders.values():
            await _close(several)

    def _of(self, org_id: str) -> list[Sender]:
        def channel(node_id: str) -> str:
            return org_key(org_id, config_channel(node_id))

        own = self._make(
            stream=org_key(org_id, CONFIG_STREAM),
            memory=org_key(org_id, MEMORY),
            channel=channel,
        )
        return [own, self._make()] if org_id == self._direct_org else [own]


def redis_senders(url: str, *, direct_org: str | None = None, **login: Any) -> OrgSenders:
    """Give senders on one Redis; ``login`` as `ConfigSender` takes it."""
    return OrgSenders(partial(ConfigSender, url, **login), direct_org=direct_org)


async def _close(senders: list[Sender]) -> None:
    for sender in senders:
        await sender.close()

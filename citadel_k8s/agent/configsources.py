"""Where configuration comes from: a queue that forgets nothing."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from citadel_k8s.domain.configmessage import ConfigEntry
from citadel_k8s.stores.configs import CONFIG_STREAM, DEAD_LETTERS, DEAD_LETTERS_MAXLEN
from citadel_k8s.stores.entries import EntryId

PROXY_BLOCK_MS: Final = 10_000
"""Milliseconds that the proxy is asked to wait for an entry: 8,640 requests a day of a device's
50,000, and within the time that proxies on the way keep a silent request open."""


class ConfigQueue(Protocol):
    """A queue of which each node reads every entry, in order.

    Every call raises `StreamError` or `PublishError` when the other side is away or refuses, and
    ends by itself. What was given and is not acknowledged is given again, before anything new.
    """

    @property
    def name(self) -> str:
        """Name of the queue."""
        ...

    async def open(self, *, replay: bool, after: EntryId = EntryId.ZERO) -> EntryId | None:
        """Join the queue, with all ``after`` an id once more if ``replay``.

        Gives the queue's last id, None if that is unknown.
        """
        ...

    async def consume(self) -> list[ConfigEntry]:
        """Wait a while for entries; an empty list if none came."""
        ...

    async def acknowledge(self, *entry_ids: str) -> None:
        """Be done with entries."""
        ...

    async def bury(self, letter: Mapping[str, str]) -> None:
        """Append to the dead letters."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class ProxyJob(Protocol):
    """An entry as the API proxy gives it."""

    @property
    def id(self) -> str:
        """Id of the entry."""
        ...

    @property
    def data(self) -> Mapping[str, str]:
        """Its fields."""
        ...


class ProxyJobs(Protocol):
    """The calls of the API proxy that a queue needs; `ProxyClient` has them."""

    async def consume(
        self, queue: str, group: str, consumer: str, *, count: int, block_ms: int
    ) -> Sequence[ProxyJob]:
        """Wait for entries and claim them."""
        ...

    async def acknowledge(self, queue: str, group: str, message_id: str) -> bool:
        """Be done with an entry."""
        ...

    async def append(self, stream: str, values: Mapping[str, str], max_length: int) -> None:
        """Append an entry to a stream."""
        ...


class ProxyConfigQueue:
    """The queue by way of the API proxy.

    The proxy gives new entries alone, so what failed is kept here to be tried again; what a crash
    left unfinished is the proxy's to give again.

    Parameters
    ----------
    jobs : ProxyJobs
        The proxy; closed by its owner.
    node_id : str
        Names the group and the consumer.
    """

    name = CONFIG_STREAM

    def __init__(self, jobs: ProxyJobs, node_id: str, *, block_ms: int = PROXY_BLOCK_MS) -> None:
        self._jobs = jobs
        self._group = f"citadel-config-{node_id}"
        self._consumer = node_id
        self._block_ms = block_ms
        self._held: dict[str, ConfigEntry] = {}

    async def open(self, *, replay: bool, after: EntryId = EntryId.ZERO) -> EntryId | None:
        """Do nothing: the proxy joins at the first read, and tells no last id."""
        del replay, after
        return None

    async def consume(self) -> list[ConfigEntry]:
        """Give what was not acknowledged once more, else wait for what is new."""
        if self._held:
            entry = next(iter(self._held.values()))
            again = ConfigEntry(entry.id, entry.fields, entry.attempts + 1)
            self._held[entry.id] = again
            return [again]
        jobs = await self._jobs.consume(
            self.name, self._group, self._consumer, count=1, block_ms=self._block_ms
        )
        # A lone surrogate has no UTF-8; let it be found where the JSON is read.
        entries = [
            ConfigEntry(job.id, {k: v.encode(errors="surrogatepass") for k, v in job.data.items()})
            for job in jobs
        ]
        self._held = {entry.id: entry for entry in entries}
        return entries

    async def acknowledge(self, *entry_ids: str) -> None:
        """Be done with entries."""
        for entry_id in entry_ids:
            await self._jobs.acknowledge(self.name, self._group, entry_id)
            self._held.pop(entry_id, None)

    async def bury(self, letter: Mapping[str, str]) -> None:
        """Append to the dead letters."""
        await self._jobs.append(DEAD_LETTERS, letter, DEAD_LETTERS_MAXLEN)

    async def close(self) -> None:
        """Do nothing: the proxy's client is its owner's."""

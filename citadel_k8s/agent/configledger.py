"""The sum of what a node was told: changes go in, what holds comes out, a file remembers."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from citadel_k8s.agent.nodesettings import (
    NodeConfig,
    Told,
    node_config,
    told_document,
    told_from,
)
from citadel_k8s.agent.state import CONFIG_FILE, State
from citadel_k8s.aio.clock import Clock
from citadel_k8s.config.agent import AgentSettings
from citadel_k8s.domain.configmessage import REASON_MAX
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.nodeconfig import Change, merge
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.wire import ConfigInfo
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.telemetry.log import get_logger

TOKENS_MAX: Final = 64
"""Changes remembered to be known again when they come the other way."""

log = get_logger("configuration")


class Ledger:
    """What a node was told, over what its settings say.

    Parameters
    ----------
    settings : AgentSettings
        The node's own.
    state : State
        Where what was told outlives a restart.
    clock : Clock
        What dates the changes.

    Attributes
    ----------
    current : NodeConfig
        What holds now; from the first moment what held before a restart.
    counts : Counter
        Messages by what became of them.
    """

    def __init__(self, settings: AgentSettings, state: State, clock: Clock) -> None:
        self._settings = settings
        self._state = state
        self._clock = clock
        self._told = _restored(state)
        self._error: str | None = None
        self._unsaved = False
        self._lock = asyncio.Lock()
        self._listeners: list[Callable[[NodeConfig], None]] = []
        self._by_queue: deque[str] = deque(maxlen=TOKENS_MAX)
        self._by_channel: deque[str] = deque(maxlen=TOKENS_MAX)
        self.current = node_config(settings, self._told.values)
        self.counts: Counter[str] = Counter()

    @property
    def info(self) -> ConfigInfo | None:
        """What a heartbeat tells of it; None as long as nothing was ever said."""
        told = self._told
        if told.applied_at is None and self._error is None:
            return None
        return ConfigInfo(
            revision=told.revision,
            applied_at=told.applied_at,
            unsupported=list(told.unsupported) or None,
            error=self._error,
        )

    @property
    def last_id(self) -> EntryId | None:
        """Id of the queue's last entry that was applied; None if there is none."""
        return self._told.last_id

    def on_applied(self, listener: Callable[[NodeConfig], None]) -> None:
        """Have a function called after each change, with what holds then; it must not wait."""
        self._listeners.append(listener)

    def has_applied(self, entry_id: str) -> bool:
        """Say whether an entry, or one after it, was applied."""
        number = _number(entry_id)
        return number is not None and self.last_id is not None and number <= self.last_id

    def begin_anew(self) -> None:
        """Forget the last id: the queue counts from the start again."""
        self._told = replace(self._told, last_id=None)

    async def apply_entry(self, change: Change, entry_id: str) -> None:
        """Apply an entry of the queue, unless it came by the channel before.

        Raises
        ------
        WireError
            If it cannot be merged with what is there.
        """
        async with self._lock:
            token = change.token
            revision = change.revision or clip(entry_id)
            last_id = _number(entry_id) or self.last_id
            if token is not None and token in self._by_channel:
                self._by_channel.remove(token)
                self.counts["known"] += 1
                self._told = replace(self._told, revision=revision, last_id=last_id)
                await self._save()
            else:
                await self._apply(change, revision, last_id, by="queue")
            if token is not None:
                self._by_queue.append(token)

    async def apply_hint(self, change: Change) -> None:
        """Apply a message of the channel, unless it came by the queue before.

        Raises
        ------
        WireError
            If it cannot be merged with what is there.
        """
        async with self._lock:
            token = change.token
            if token is not None and token in self._by_queue:
                self.counts["known"] += 1
                return
            await self._apply(
                change, change.revision or change.updated_at, self.last_id, by="channel"
            )
            if token is not None:
                self._by_channel.append(token)

    def reject(self, reason: str) -> None:
        """Remember that a message was refused, until one is applied."""
        self.counts["rejected"] += 1
        self._error = clip(reason, REASON_MAX)

    async def _apply(
        self, change: Change, revision: str | None, last_id: EntryId | None, *, by: str
    ) -> None:
        values = merge(self._told.values, change.values)
        current = node_config(self._settings, values)
        self._told = Told(
            values=values,
            revision=revision,
            applied_at=format_timestamp(self._clock.now()),
            unsupported=change.unsupported,
            last_id=last_id,
        )
        self._error = None
        self.current = current
        self.counts["applied"] += 1
        persisted = await self._save()
        log.info(
            "config_applied",
            revision=revision,
            by=by,
            keys=sorted(change.values),
            unsupported=change.unsupported,
            persisted=persisted,
        )
        self._tell(current)

    async def save_again(self) -> None:
        """Save what could not be saved when it was applied, if there is something."""
        if self._unsaved:
            async with self._lock:
                await self._save()

    async def _save(self) -> bool:
        saved = await self._state.save(CONFIG_FILE, told_document(self._told))
        self._unsaved = not saved
        return saved

    def _tell(self, current: NodeConfig) -> None:
        for listener in self._listeners:
            try:
                listener(current)
            except Exception:
                # The others are told all the same; the configuration holds.
                log.exception("config_listener_failed")


def _restored(state: State) -> Told:
    document = state.load(CONFIG_FILE)
    if document is None:
        return Told()
    try:
        return told_from(document)
    except WireError as error:
        state.discard(CONFIG_FILE, str(error))
        return Told()


def _number(entry_id: str) -> EntryId | None:
    try:
        return EntryId.parse(entry_id)
    except WireError:
        # A proxy may have ids of its own, which have no order.
        return None

"""Configuration from afar, as it runs: heard, checked, merged, saved, told on.

The queue is the truth, the channel a courtesy: what came by the channel comes by the queue once
more and is known again. A message is taken whole or not at all, and nothing that anybody sends
ends the agent.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from citadel_k8s.agent.configledger import Ledger
from citadel_k8s.agent.configqueue import QueueFollower
from citadel_k8s.agent.configsources import ConfigQueue
from citadel_k8s.agent.following import Channel, follow
from citadel_k8s.agent.nodesettings import NodeConfig
from citadel_k8s.agent.state import State
from citadel_k8s.aio.clock import Clock, SystemClock
from citadel_k8s.config.agent import AgentSettings, check_engine
from citadel_k8s.domain.configmessage import REASON_MAX, Identity, read_hint
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import CitadelError, WireError
from citadel_k8s.models.wire import ConfigInfo
from citadel_k8s.telemetry.log import RepeatLog, get_logger

log = get_logger("configuration")


class Configuration:
    """What a node is told, over what its settings say.

    Parameters
    ----------
    settings : AgentSettings
        The node's own.
    node_id : str
        Who this is; with an empty one no message is for it.
    queue : ConfigQueue or None
        The truth; closed by `close`.
    channel : Channel or None
        The courtesy; closed by `close`. Where it is heard by other means, see `hear`.
    state : State
        Where what was told outlives a restart.
    clock : Clock or None
        What dates the changes.
    jitter : callable
        Gives a factor in [0, 1) by which pauses are lengthened.
    """

    def __init__(
        self,
        settings: AgentSettings,
        node_id: str,
        *,
        queue: ConfigQueue | None,
        channel: Channel | None,
        state: State,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._identity = Identity(node_id, settings.headscale_node_id)
        self._queue = queue
        self._channel = channel
        self._clock = clock or SystemClock()
        self._jitter = jitter
        self._ledger = Ledger(settings, state, self._clock)
        self._nonsense = RepeatLog(log, "config_hint_rejected", clock=self._clock)

    @property
    def current(self) -> NodeConfig:
        """What holds now; from the first moment what held before a restart."""
        return self._ledger.current

    @property
    def info(self) -> ConfigInfo | None:
        """What a heartbeat tells of it; None as long as nothing was ever said."""
        return self._ledger.info

    @property
    def counts(self) -> Counter[str]:
        """Messages by what became of them.

        ``applied``; ``known``: applied before; ``rejected``; ``lost``: trimmed before they were
        read; ``letters-lost``: rejected and not buried; ``other-node``, ``no-target`` and
        ``other-type``: passed over.
        """
        return self._ledger.counts

    def on_applied(self, listener: Callable[[NodeConfig], None]) -> None:
        """Have a function called after each change, with what holds then; it must not wait."""
        self._ledger.on_applied(listener)

    async def run(self) -> None:
        """Listen for ever; ends at once where there is nothing to listen to."""
        async with asyncio.TaskGroup() as group:
            if self._queue is not None:
                follower = QueueFollower(
                    self._queue,
                    self._identity,
                    self._ledger,
                    clock=self._clock,
                    jitter=self._jitter,
                )
                group.create_task(follower.run(), name="configuration queue")
            if self._channel is not None:
                following = follow(self._channel, self.hear, clock=self._clock, jitter=self._jitter)
                group.create_task(following, name="configuration channel")

    async def hear(self, data: bytes) -> None:
        """Take a message of the node's channel, from wherever it was heard; never raises."""
        try:
            await self._ledger.apply_hint(read_hint(data, self._identity, check_engine))
        except WireError as error:
            self._ledger.reject(str(error))
            self._nonsense.failed(reason=clip(str(error), REASON_MAX))
        except Exception:
            # A hint is a courtesy: the queue brings the same once more.
            log.exception("config_hint_failed")
        else:
            self._nonsense.recovered()

    async def save_again(self) -> None:
        """Save what could not be saved when it was applied, if there is something; never raises."""
        await self._ledger.save_again()

    async def close(self) -> None:
        """Let go of the connections; never raises."""
        for source in (self._queue, self._channel):
            if source is not None:
                with suppress(CitadelError):
                    await source.close()

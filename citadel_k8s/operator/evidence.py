"""All that can be known of silent nodes beside the stream, gathered before it is needed."""

import asyncio
from typing import Final

from citadel_k8s.aio.clock import Clock
from citadel_k8s.domain.life import Phase
from citadel_k8s.domain.pipe import Witnesses
from citadel_k8s.domain.witness import Finding, weighed
from citadel_k8s.operator.leases import LeaseApi, NodeLeases
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.probing import AT_ONCE, Asker, Prober
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry

LEASES_EVERY: Final = 10.0
"""Seconds between two looks at Leases: kubelets renew them that often."""


class Evidence:
    """Gathers evidence about the registry's late nodes.

    Parameters
    ----------
    registry : Registry
        Whose late nodes are under suspicion.
    asker : Asker
        Who asks nodes; closed at the end of `run`.
    api : LeaseApi
        The API server.
    clock : Clock
        The operator's clock.
    metrics : OperatorMetrics
        What is counted.
    at_once : int
        Questions to nodes at the same time.
    probe_loopback : bool
        Whether nodes on this very machine may be asked.
    """

    def __init__(
        self,
        registry: Registry,
        asker: Asker,
        api: LeaseApi,
        clock: Clock,
        metrics: OperatorMetrics,
        *,
        at_once: int = AT_ONCE,
        probe_loopback: bool = False,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._leases = NodeLeases(api, clock)
        self._prober = Prober(
            registry, asker, clock, metrics, at_once=at_once, loopback=probe_loopback
        )

    async def run(self) -> None:
        """Gather for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._prober.run(), name="prober")
            group.create_task(self._watch_leases(), name="leases")

    def rest(self, resting: bool) -> None:  # noqa: FBT001 - one word, one meaning
        """Begin no questions while nobody can be heard: then all nodes are silent."""
        self._prober.resting = resting

    def finding(self, record: NodeRecord, now: float) -> Finding:
        """Sum up what is known of a silent node."""
        node = self._registry.kube_nodes.get(record.node_id)
        probe = self._prober.result(record)
        vouched = probe is not None and self._prober.vouches(record.node_id, probe.outcome, now)
        return weighed(
            probe,
            vouched=vouched,
            node_ready=None if node is None else node.ready,
            lease_stopped=None if node is None else self._leases.stopped(node.name),
        )

    def pending(self, record: NodeRecord) -> bool:
        """Say whether an answer is under way that may say more; one that nobody began is begun."""
        if record.live.phase is Phase.SPEAKING:
            if record.node_id not in self._registry.late:
                self._prober.want(record)
            elif record.held_since is None:
                self._prober.recheck(record)
        return self._prober.pending(record)

    def witnesses(self, now: float) -> Witnesses:
        """Count the late nodes by what is known of them; 3 ms for a thousand."""
        tally = {"alive": 0, "dead": 0, "none": 0}
        for node_id in self._registry.late:
            record = self._registry.nodes.get(node_id)
            if record is not None:
                tally[self.finding(record, now).verdict] += 1
        return Witnesses(**tally)

    async def _watch_leases(self) -> None:
        while True:
            names = {
                node.name
                for node_id in self._registry.late
                if (node := self._registry.kube_nodes.get(node_id)) is not None
            }
            if not self._prober.resting:
                await self._leases.look(names)
            await asyncio.sleep(LEASES_EVERY)

"""What the agent knows right now, in one place: sources write, everybody else reads."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from citadel_k8s.domain.report import Moment, Speaker, status_message
from citadel_k8s.domain.snapshot import Change, Fingerprint, Snapshot, fingerprint
from citadel_k8s.models.readings import (
    ContainerUsage,
    Engine,
    GpuEvent,
    Gpus,
    Host,
    Listener,
    Outcome,
    Pod,
    Pods,
    Processes,
)
from citadel_k8s.models.wire import CollectorInfo, ConfigInfo, Goodbye, StatusMessage


class Board:
    """Holds the latest snapshot and tells of changes that cannot wait.

    Parameters
    ----------
    speaker : Speaker
        Who is told of.
    moment : callable
        Gives the present.

    Attributes
    ----------
    config, notices : callable
        Give the configuration that holds, and what else is wrong that no source tells.
    """

    def __init__(self, speaker: Speaker, moment: Callable[[], Moment]) -> None:
        self.moment = moment
        self.snapshot = Snapshot()
        self.speaker = speaker
        self.complete = asyncio.Event()
        self.config: Callable[[], ConfigInfo | None] = lambda: None
        self.notices: Callable[[], tuple[CollectorInfo, ...]] = tuple
        self._told: Fingerprint | None = None
        self._change = Change.NONE
        self._on_change: Callable[[Change], None] | None = None

    @property
    def speaker(self) -> Speaker:
        """Who is told of; what ages by the interval goes by the new one at once."""
        return self._speaker

    @speaker.setter
    def speaker(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self.snapshot = replace(self.snapshot, interval=speaker.interval_seconds)

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call this when something differs from what was last told."""
        self._on_change = listener

    def learn_host(self, outcome: Outcome[Host], duration: float) -> None:
        """Take the host's answer."""
        self._take(self.snapshot.learn_host(outcome, at=self._now(), duration=duration))

    def learn_gpus(self, outcome: Outcome[Gpus], duration: float) -> None:
        """Take the answer about NVIDIA's GPUs."""
        self._take(self.snapshot.learn_gpus(outcome, at=self._now(), duration=duration))

    def learn_drm(self, outcome: Outcome[Gpus], duration: float) -> None:
        """Take the answer about the GPUs of other makers."""
        self._take(self.snapshot.learn_drm(outcome, at=self._now(), duration=duration))

    def learn_engines(self, outcome: Outcome[tuple[Engine, ...]], duration: float) -> None:
        """Take the engines' answer."""
        self._take(self.snapshot.learn_engines(outcome, at=self._now(), duration=duration))

    def learn_pods(self, outcome: Outcome[Pods], duration: float) -> None:
        """Take the answer about this node's pods."""
        self._take(self.snapshot.learn_pods(outcome, at=self._now(), duration=duration))

    def learn_processes(self, outcome: Outcome[Processes], duration: float) -> None:
        """Take the answer about the processes that were asked for."""
        self._take(self.snapshot.learn_processes(outcome, at=self._now(), duration=duration))

    def learn_containers(
        self, outcome: Outcome[tuple[ContainerUsage, ...]], duration: float
    ) -> None:
        """Take the answer about the containers."""
        self._take(self.snapshot.learn_containers(outcome, at=self._now(), duration=duration))

    def learn_events(self, *events: GpuEvent) -> None:
        """Take what the driver told by itself."""
        moment = self.moment()
        self._take(self.snapshot.learn_events(events, at=moment.monotonic, date=moment.date))

    def pods(self) -> tuple[Pod, ...]:
        """Give this node's pods as last known."""
        pods = self.snapshot.pods.good
        return () if pods is None else pods.pods

    def listeners(self) -> tuple[Listener, ...]:
        """Give what listens on the ports that were asked for, as last known."""
        processes = self.snapshot.processes.good
        return () if processes is None else processes.listeners

    def gpu_pids(self) -> tuple[int, ...]:
        """Give the processes that the drivers name on GPUs, as last known."""
        pids = {one.pid for told in self.snapshot.told for one in told.gpu.processes or ()}
        return tuple(sorted(pids))

    def message(self, *, seq: int | None = None, goodbye: Goodbye | None = None) -> StatusMessage:
        """Give the message that tells what is known now."""
        return status_message(
            self.speaker,
            self.snapshot,
            self.moment(),
            seq=seq,
            goodbye=goodbye,
            config=self.config(),
            notices=self.notices(),
        )

    def told(self) -> None:
        """Remember that the present state has been told."""
        self._told = fingerprint(self.snapshot)
        self._change = Change.NONE

    def _take(self, snapshot: Snapshot) -> None:
        before, self.snapshot = self.snapshot, snapshot
        if snapshot.complete:
            self.complete.set()
        if self._told is None or self._on_change is None:
            return
        if not _same_news(before, snapshot):
            self._change = self._told.change_to(fingerprint(snapshot))
        if self._change is not Change.NONE:
            self._on_change(self._change)

    def _now(self) -> float:
        return self.moment().monotonic


def _same_news(before: Snapshot, after: Snapshot) -> bool:
    """Whether an answer was about what is never news: the host, its containers."""
    return (
        before.told is after.told
        and before.services is after.services
        and before.gpus is after.gpus
        and before.drm is after.drm
        and before.engines is after.engines
    )

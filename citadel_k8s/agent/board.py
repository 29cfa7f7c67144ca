"""What the agent knows right now, in one place: sources write, everybody else reads."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from citadel_k8s.domain.report import Moment, Speaker, status_message
from citadel_k8s.domain.snapshot import Change, Fingerprint, Snapshot, fingerprint
from citadel_k8s.models.readings import Engine, Gpus, Host, Outcome
from citadel_k8s.models.wire import Goodbye, StatusMessage


class Board:
    """Holds the latest snapshot and tells of changes that cannot wait.

    Parameters
    ----------
    speaker : Speaker
        Who is told of.
    moment : callable
        Gives the present.
    """

    def __init__(self, speaker: Speaker, moment: Callable[[], Moment]) -> None:
        self.speaker = speaker
        self.moment = moment
        self.snapshot = Snapshot()
        self.complete = asyncio.Event()
        self._told: Fingerprint | None = None
        self._on_change: Callable[[Change], None] | None = None

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call this when something differs from what was last told."""
        self._on_change = listener

    def learn_host(self, outcome: Outcome[Host], duration: float) -> None:
        """Take the host's answer."""
        host = self.snapshot.host.learn(outcome, at=self._now(), duration=duration)
        self._take(replace(self.snapshot, host=host))

    def learn_gpus(self, outcome: Outcome[Gpus], duration: float) -> None:
        """Take the GPUs' answer."""
        self._take(self.snapshot.learn_gpus(outcome, at=self._now(), duration=duration))

    def learn_engines(self, outcome: Outcome[tuple[Engine, ...]], duration: float) -> None:
        """Take the engines' answer."""
        engines = self.snapshot.engines.learn(outcome, at=self._now(), duration=duration)
        self._take(replace(self.snapshot, engines=engines))

    def message(self, *, seq: int | None = None, goodbye: Goodbye | None = None) -> StatusMessage:
        """Give the message that tells what is known now."""
        return status_message(self.speaker, self.snapshot, self.moment(), seq=seq, goodbye=goodbye)

    def told(self) -> None:
        """Remember that the present state has been told."""
        self._told = fingerprint(self.snapshot)

    def _take(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        if snapshot.complete:
            self.complete.set()
        if self._told is None or self._on_change is None:
            return
        change = self._told.change_to(fingerprint(snapshot))
        if change is not Change.NONE:
            self._on_change(change)

    def _now(self) -> float:
        return self.moment().monotonic

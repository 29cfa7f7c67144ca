"""What the driver tells by itself: XIDs and memory errors, the moment they happen.

Two threads share this. The main thread makes, fills and frees event sets, since those calls may
hang on a broken GPU and only it announces calls. The other does nothing but wait, and is out of
the set, seen under a lock, before the main thread frees it or stops NVML.
"""

from __future__ import annotations

import threading

from citadel_k8s.collectors.lines import WHOLE_GPU
from citadel_k8s.collectors.nvml_eventset import EventSet
from citadel_k8s.collectors.nvml_library import pynvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final, TypeAlias

    from citadel_k8s.collectors.lines import Announce, Skip
    from citadel_k8s.collectors.nvml_gpu import GpuReader

    Tell: TypeAlias = Callable[[dict[str, Any]], None]

WAIT_MILLISECONDS: Final = 2000
"""Longest single wait. Each end of one costs some 0.1 ms of CPU, and a stop of NVML waits for
it."""

PAUSE: Final = 1.0
"""Seconds between two waits of which the first failed, unless there is a new set sooner."""

BURST: Final = 64
"""Events told without a pause; a GPU that fails in a loop makes thousands a second."""

BURST_PAUSE: Final = 0.25
"""Seconds of rest after a burst; what comes meanwhile is the driver's to keep."""

LEAVE_PATIENCE: Final = 30.0
"""Seconds that the main thread waits for the other to be out of a set; the parent's patience
ends long before."""

WAIT_CALL: Final = "nvmlEventSetWait"

_LOOK_MILLISECONDS: Final = 100
_SPARE_MILLISECONDS: Final = 1000

_SET_CALLS: Final = ("nvmlEventSetCreate", "nvmlEventSetFree")


class Events:
    """Waits for events of all GPUs, for as long as there is a set to wait on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._set: EventSet | None = None
        self._waiting = False
        self._happened = False
        self._lost = False

    def watch(self, tell: Tell) -> None:
        """Tell events for ever; for a thread of its own."""
        told = 0
        while True:
            events = self._enter()
            code = events.wait(WAIT_MILLISECONDS)
            while code == pynvml.NVML_ERROR_TIMEOUT and self._set is events:
                self._lost, told = False, 0
                code = events.wait(WAIT_MILLISECONDS)
            event = events.event() if code == pynvml.NVML_SUCCESS else None
            self._leave(happened=code == pynvml.NVML_SUCCESS)
            if code not in {pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_TIMEOUT}:
                self._failed(events, tell)
                continue
            self._lost = False
            if event is not None:
                tell(event)
                told += 1
                if told % BURST == 0:
                    self._rest(events, BURST_PAUSE)

    def happened(self) -> bool:
        """Say whether there was an event since this was last asked."""
        with self._changed:
            happened, self._happened = self._happened, False
        return happened

    def arm(
        self, gpus: Iterable[tuple[GpuReader, dict[str, Any]]], announce: Announce, skip: Skip
    ) -> None:
        """Have all GPUs that answer in a set that works.

        Parameters
        ----------
        gpus : iterable of (GpuReader, dict)
            Each GPU with what was read of it just now.
        """
        if any((None, call) in skip for call in (*_SET_CALLS, WAIT_CALL)):
            return
        wanted = [pair for pair in gpus if not _left_out(pair[0].index, skip)]
        events = self._set
        if events is None or events.failing:
            events = self._new(announce, skip)
        if events is None:
            return
        events.take(wanted, announce)
        with self._changed:
            self._set = events
            self._changed.notify_all()

    def _new(self, announce: Announce, skip: Skip) -> EventSet | None:
        if not self.disarm(announce, skip):
            return None
        announce(None, "nvmlEventSetCreate")
        try:
            return EventSet(pynvml.nvmlEventSetCreate())
        except pynvml.NVMLError:
            return None

    def disarm(self, announce: Announce, skip: Skip) -> bool:
        """Free the set, so that NVML may be stopped; False if a wait on it does not end."""
        with self._changed:
            events, self._set = self._set, None
            self._changed.notify_all()
            # The end of a wait is worth waiting for; announced again and again, it is no hang.
            for _ in range((WAIT_MILLISECONDS + _SPARE_MILLISECONDS) // _LOOK_MILLISECONDS):
                if not self._waiting:
                    break
                announce(None, WAIT_CALL)
                self._changed.wait(_LOOK_MILLISECONDS / 1000)
            if not self._changed.wait_for(lambda: not self._waiting, LEAVE_PATIENCE):
                return False
        if events is not None and (None, "nvmlEventSetFree") not in skip:
            announce(None, "nvmlEventSetFree")
            events.free()
        return True

    def _enter(self) -> EventSet:
        with self._changed:
            while True:
                if self._set:
                    self._waiting = True
                    return self._set
                self._changed.wait()

    def _leave(self, *, happened: bool = False) -> None:
        with self._changed:
            self._waiting = False
            self._happened = self._happened or happened
            self._changed.notify_all()

    def _failed(self, events: EventSet, tell: Tell) -> None:
        events.failing = True
        if not self._lost:
            # Once for as long as it fails, whichever the set: a parent that reads at each event,
            # and so has a new set made, would go round in circles.
            self._lost = True
            tell({"kind": "lost-events", "index": None, "uuid": None, "xid": None})
        self._rest(events, PAUSE)

    def _rest(self, events: EventSet, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._set is not events, seconds)


def _left_out(index: int, skip: Skip) -> bool:
    calls = (WHOLE_GPU, "nvmlDeviceGetSupportedEventTypes", "nvmlDeviceRegisterEvents")
    return any((index, call) in skip for call in calls)

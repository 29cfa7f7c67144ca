"""What the driver tells by itself: XIDs and memory errors, the moment they happen.

Two threads share this. The main thread makes, fills and frees event sets, since those calls may
hang on a broken GPU and only it announces calls. The other does nothing but wait, and is out of
the set, seen under a lock, before the main thread frees it or stops NVML.
"""

from __future__ import annotations

import threading
from ctypes import byref, c_uint, c_void_p, cast

import pynvml

from citadel_k8s.collectors.lines import WHOLE_GPU
from citadel_k8s.collectors.nvml_calls import OVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
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

XID_MAX: Final = 0xFFFF
"""Largest XID that is believed; those in use are below 1000."""

WAIT_CALL: Final = "nvmlEventSetWait"

_LOOK_MILLISECONDS: Final = 100
_SPARE_MILLISECONDS: Final = 1000

_SET_CALLS: Final = ("nvmlEventSetCreate", "nvmlEventSetFree")

_MEMORY_ERRORS: Final = (
    pynvml.nvmlEventTypeSingleBitEccError
    | pynvml.nvmlEventTypeDoubleBitEccError
    | pynvml.nvmlEventTypeSingleBitEccErrorStorm
    | pynvml.nvmlEventTypeDramRetirementEvent
    | pynvml.nvmlEventTypeDramRetirementFailure
    | pynvml.nvmlEventTypeNonFatalPoisonError
    | pynvml.nvmlEventTypeFatalPoisonError
)

WANTED: Final = (
    pynvml.nvmlEventTypeXidCriticalError
    | _MEMORY_ERRORS
    | pynvml.nvmlEventMigConfigChange
    | pynvml.nvmlEventTypeGpuUnavailableError
    | pynvml.nvmlEventTypeGpuRecoveryAction
)
"""Events asked for. Those of clocks and power are not: they come by the thousand on a busy GPU,
and each collection reads the reasons why clocks are low."""


class EventSet:
    """One event set of NVML, the GPUs in it by their handles, and those asked to be in it."""

    def __init__(self, handle: pynvml.c_nvmlEventSet_t) -> None:
        self.handle = handle
        self.gpus: dict[int, GpuReader] = {}
        self.tried: set[int] = set()
        self.failing = False

    def take(self, gpus: Sequence[tuple[GpuReader, dict[str, Any]]], announce: Announce) -> None:
        """Register the GPUs that answer and are not in yet.

        A GPU that is lost would fail each wait, and so hide the events of the others.
        """
        for gpu, values in gpus:
            if gpu.handle is None or values["reason"] in OVER:
                self.tried.discard(gpu.index)
            elif gpu.index not in self.tried:
                self.tried.add(gpu.index)
                if _register(gpu.index, gpu.handle, self.handle, announce):
                    self.gpus[_address(gpu.handle)] = gpu


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
        data = pynvml.c_nvmlEventData_t()
        while True:
            events = self._enter()
            code = _wait(events.handle, data)
            while code == pynvml.NVML_ERROR_TIMEOUT and self._set is events:
                self._lost, told = False, 0
                code = _wait(events.handle, data)
            event = _told(events, data) if code == pynvml.NVML_SUCCESS else None
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
            try:
                pynvml.nvmlEventSetFree(events.handle)
            except pynvml.NVMLError:
                return True  # nobody waits on it any more, and that is what counts
        return True

    def _enter(self) -> EventSet:
        with self._changed:
            while True:
                if self._set is not None and self._set.gpus:
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


def _register(
    index: int,
    handle: pynvml.c_nvmlDevice_t,
    events: pynvml.c_nvmlEventSet_t,
    announce: Announce,
) -> bool:
    try:
        announce(index, "nvmlDeviceGetSupportedEventTypes")
        supported = pynvml.nvmlDeviceGetSupportedEventTypes(handle) & WANTED
        if not supported:
            return False
        announce(index, "nvmlDeviceRegisterEvents")
        pynvml.nvmlDeviceRegisterEvents(handle, supported, events)
    except pynvml.NVMLError:
        return False
    return True


def _wait(events: pynvml.c_nvmlEventSet_t, data: pynvml.c_nvmlEventData_t) -> int:
    # Past the library's own function, which makes an exception of each time that nothing happens.
    wait = getattr(pynvml.nvmlLib, "nvmlEventSetWait_v2", None)
    if wait is None:
        return pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
    return int(wait(events, byref(data), c_uint(WAIT_MILLISECONDS)))


def _left_out(index: int, skip: Skip) -> bool:
    calls = (WHOLE_GPU, "nvmlDeviceGetSupportedEventTypes", "nvmlDeviceRegisterEvents")
    return any((index, call) in skip for call in calls)


def _told(events: EventSet, data: pynvml.c_nvmlEventData_t) -> dict[str, Any] | None:
    gpu = events.gpus.get(_address(data.device))
    index, uuid = (None, None) if gpu is None else (gpu.index, gpu.uuid)
    if data.eventType & pynvml.nvmlEventTypeXidCriticalError:
        return {"kind": "xid", "index": index, "uuid": uuid, "xid": _xid(data.eventData)}
    if data.eventType & _MEMORY_ERRORS:
        return {"kind": "ecc", "index": index, "uuid": uuid, "xid": None}
    return None


def _xid(number: int) -> int | None:
    return number if number <= XID_MAX else None


def _address(handle: pynvml.c_nvmlDevice_t) -> int:
    return cast(handle, c_void_p).value or 0

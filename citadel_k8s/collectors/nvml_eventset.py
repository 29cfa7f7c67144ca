"""One event set of NVML: which GPUs are in it, and what their events mean."""

from __future__ import annotations

from ctypes import byref, c_uint, c_void_p, cast

from citadel_k8s.collectors.nvml_calls import OVER
from citadel_k8s.collectors.nvml_library import pynvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

    from citadel_k8s.collectors.lines import Announce
    from citadel_k8s.collectors.nvml_gpu import GpuReader

XID_MAX: Final = 0xFFFF
"""Largest XID that is believed; those in use are below 1000."""

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
    """One event set, the GPUs in it by their handles, and those that were asked to be in it.

    Parameters
    ----------
    handle : c_nvmlEventSet_t
        The set as NVML made it.
    """

    def __init__(self, handle: pynvml.c_nvmlEventSet_t) -> None:
        self._handle = handle
        self._data = pynvml.c_nvmlEventData_t()
        self._gpus: dict[int, GpuReader] = {}
        self._tried: set[int] = set()
        self.failing = False

    def __len__(self) -> int:
        return len(self._gpus)

    def take(self, gpus: Sequence[tuple[GpuReader, dict[str, Any]]], announce: Announce) -> None:
        """Register the GPUs that answer and are not in yet.

        A GPU that is lost would fail each wait, and so hide the events of the others.
        """
        for gpu, values in gpus:
            if gpu.handle is None or values["reason"] in OVER:
                self._tried.discard(gpu.index)
            elif gpu.index not in self._tried:
                self._tried.add(gpu.index)
                if self._register(gpu.index, gpu.handle, announce):
                    self._gpus[_address(gpu.handle)] = gpu

    def wait(self, milliseconds: int) -> int:
        """Wait for an event; give NVML's code."""
        # Past the library's own function, which makes an exception of each time that nothing
        # happens.
        wait = getattr(pynvml.nvmlLib, "nvmlEventSetWait_v2", None)
        if wait is None:
            return pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
        return int(wait(self._handle, byref(self._data), c_uint(milliseconds)))

    def event(self) -> dict[str, Any] | None:
        """Give the event of the last wait as it is to be told; None if it is nobody's business."""
        gpu = self._gpus.get(_address(self._data.device))
        index, uuid = (None, None) if gpu is None else (gpu.index, gpu.uuid)
        if self._data.eventType & pynvml.nvmlEventTypeXidCriticalError:
            number = self._data.eventData
            xid = number if number <= XID_MAX else None
            return {"kind": "xid", "index": index, "uuid": uuid, "xid": xid}
        if self._data.eventType & _MEMORY_ERRORS:
            return {"kind": "ecc", "index": index, "uuid": uuid, "xid": None}
        return None

    def free(self) -> None:
        """Give the set back; nobody may wait on it any more."""
        try:
            pynvml.nvmlEventSetFree(self._handle)
        except pynvml.NVMLError:
            return  # what a broken driver keeps goes with NVML's next stop

    def _register(self, index: int, handle: pynvml.c_nvmlDevice_t, announce: Announce) -> bool:
        try:
            announce(index, "nvmlDeviceGetSupportedEventTypes")
            supported = pynvml.nvmlDeviceGetSupportedEventTypes(handle) & WANTED
            if not supported:
                return False
            announce(index, "nvmlDeviceRegisterEvents")
            pynvml.nvmlDeviceRegisterEvents(handle, supported, self._handle)
        except pynvml.NVMLError:
            return False
        return True


def _address(handle: pynvml.c_nvmlDevice_t) -> int:
    return cast(handle, c_void_p).value or 0

"""The processes on one NVIDIA GPU or on one slice of it.

The lists are read into one buffer that lasts, and unpacked at once: 64 processes by the library's
own objects cost more CPU than everything else of a collection.
"""

from __future__ import annotations

from ctypes import byref, c_uint, c_ulonglong, create_string_buffer
from struct import Struct

from citadel_k8s.collectors.nvml_library import pynvml
from citadel_k8s.collectors.nvml_mig import of_slice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import Array, c_char
    from typing import Any, Final, TypeAlias

    from citadel_k8s.collectors.nvml_calls import GpuCalls

    Key: TypeAlias = tuple[int, int | None, int | None]

KEPT: Final = 256
"""Most processes of one GPU that are reported, those with the most memory; a GPU is shared by
some tens at most (48 clients of MPS)."""

LISTED: Final = 131_072
"""Most processes that a list of the driver may have, 3 MiB; more cannot be true."""

PID_MAX: Final = 2**22
"""Largest process id of Linux."""

HIDDEN_ABOVE: Final = 512 * 1024**2
"""Bytes of used memory, beyond the driver's reserve, that no idle GPU has: a list of no processes
above that is the driver hiding them, not a free GPU. Contexts of daemons take up to some hundred
megabytes."""

HIDDEN_ABOVE_WITH_RESERVE: Final = 2 * 1024**3
"""The same where the used memory counts the driver's reserve too (0.5 to 1 GiB), as the first
version of the call does."""

_KINDS: Final = (
    ("compute", "nvmlDeviceGetComputeRunningProcesses_v3"),
    ("graphics", "nvmlDeviceGetGraphicsRunningProcesses_v3"),
    ("mps", "nvmlDeviceGetMPSComputeRunningProcesses_v3"),
)

_ENTRY: Final = Struct("=I4xQII")
"""``nvmlProcessInfo_t``: pid, memory, GPU instance, compute instance."""

_SAMPLE: Final = Struct("=I4xQIIII")
"""``nvmlProcessUtilizationSample_t``: pid, microseconds, and percents: SM, memory, encoder,
decoder."""

_NOT_KNOWN: Final = 2**64 - 1
_NO_INSTANCE: Final = 2**32 - 1
_ROOM: Final = 256


class ProcessReader:
    """Reads the processes of one GPU.

    Parameters
    ----------
    calls : GpuCalls
        Makes the calls.
    """

    def __init__(self, calls: GpuCalls) -> None:
        self._calls = calls
        self._seen_until = 0

    def read(
        self, handle: pynvml.c_nvmlDevice_t, gpu: dict[str, Any], *, with_reserve: bool
    ) -> list[dict[str, Any]] | None:
        """Read the processes of a GPU that is not sliced; None where the driver hides them.

        ``gpu`` has the memory and the utilization of this collection.
        """
        found = self._lists(handle, None)
        if found is None:
            return None
        if not found:
            used = gpu["memory_used_bytes"]
            floor = HIDDEN_ABOVE_WITH_RESERVE if with_reserve else HIDDEN_ABOVE
            # Memory that is not known proves nothing about processes that are not seen.
            return None if used is None or used > floor else []
        total = gpu["memory_total_bytes"]
        busy, rest = self._utilization(handle, idle=gpu["utilization_ratio"] == 0)
        return _largest(found, total, busy, rest)

    def read_slices(
        self, slices: list[tuple[pynvml.c_nvmlDevice_t, dict[str, Any]]]
    ) -> list[dict[str, Any]] | None:
        """Read the processes of all slices; None where the driver hides those of one."""
        found: dict[Key, tuple[str, int]] = {}
        for handle, mig in slices:
            here = self._lists(handle, mig)
            if here is None:
                return None
            used = mig["memory_used_bytes"]
            if not here and (used is None or used > HIDDEN_ABOVE):
                return None
            found.update(here)
        return _largest(found, None, {}, None)

    def _lists(
        self, handle: pynvml.c_nvmlDevice_t, mig: dict[str, Any] | None
    ) -> dict[Key, tuple[str, int]] | None:
        found: dict[Key, tuple[str, int]] = {}
        for kind, name in _KINDS:
            if mig is not None and kind == "graphics":
                continue  # no slice has graphics
            asked = name if mig is None else of_slice(name)
            entries = self._calls.ask(asked, _running, name, handle)
            if entries is None and kind == "compute":
                return None
            for pid, memory, gi, ci in entries or ():
                if not 0 < pid <= PID_MAX:
                    continue
                key = (pid, _instance(gi, mig, "gpu"), _instance(ci, mig, "compute"))
                # A client of MPS is in the list of compute processes as well, and whoever
                # computes and draws is in both.
                if key not in found or kind == "mps":
                    found[key] = (kind, memory)
        return found

    def _utilization(
        self, handle: pynvml.c_nvmlDevice_t, *, idle: bool
    ) -> tuple[dict[int, float | None], float | None]:
        """Give what is known by process, and what holds for those that are not in it."""
        name = "nvmlDeviceGetProcessUtilization"
        samples = self._calls.ask(name, _samples, handle, self._seen_until)
        if samples is None:
            return {}, None
        newest: dict[int, tuple[int, float | None]] = {}
        for pid, at, percent, _, _, _ in samples:
            if pid not in newest or at >= newest[pid][0]:
                newest[pid] = (at, percent / 100 if percent <= 100 else None)  # noqa: PLR2004
        self._seen_until = max((at for at, _ in newest.values()), default=self._seen_until)
        # The driver gives samples of those that did something: the rest did nothing, if it gives
        # any, or if the GPU as a whole did nothing.
        rest = 0.0 if newest or idle else None
        return {pid: ratio for pid, (_, ratio) in newest.items()}, rest


def _largest(
    found: dict[Key, tuple[str, int]],
    total: int | None,
    busy: dict[int, float | None],
    rest: float | None,
) -> list[dict[str, Any]]:
    limit = _NOT_KNOWN - 1 if total is None else total
    known = [
        (memory if memory <= limit else None, kind, key) for key, (kind, memory) in found.items()
    ]
    if len(known) > KEPT:
        known.sort(key=lambda entry: entry[0] or 0, reverse=True)
    return [
        {
            "pid": pid,
            "kind": kind,
            "memory_used_bytes": memory,
            "utilization_ratio": busy.get(pid, rest),
            "gpu_instance_id": gi,
            "compute_instance_id": ci,
        }
        for memory, kind, (pid, gi, ci) in known[:KEPT]
    ]


def _running(name: str, handle: pynvml.c_nvmlDevice_t) -> list[tuple[int, int, int, int]]:
    function = getattr(pynvml.nvmlLib, name, None)
    if function is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    buffer, count = _BUFFER, c_uint(_ROOM)
    code = function(handle, byref(count), buffer)
    if code == pynvml.NVML_ERROR_INSUFFICIENT_SIZE and count.value < LISTED:
        # More may have begun since.
        room = count.value + count.value // 4 + 16
        buffer, count = create_string_buffer(room * _ENTRY.size), c_uint(room)
        code = function(handle, byref(count), buffer)
    if code != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(code)
    return _unpacked(_ENTRY, buffer, count.value)


def _samples(
    handle: pynvml.c_nvmlDevice_t, seen_until: int
) -> list[tuple[int, int, int, int, int, int]]:
    # The library's own function takes "no samples" for an error of number 0.
    function = getattr(pynvml.nvmlLib, "nvmlDeviceGetProcessUtilization", None)
    if function is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    buffer, count = _BUFFER, c_uint(len(_BUFFER) // _SAMPLE.size)
    code = function(handle, buffer, byref(count), c_ulonglong(seen_until))
    if code == pynvml.NVML_ERROR_INSUFFICIENT_SIZE and count.value < LISTED:
        room = count.value + count.value // 4 + 16
        buffer, count = create_string_buffer(room * _SAMPLE.size), c_uint(room)
        code = function(handle, buffer, byref(count), c_ulonglong(seen_until))
    if code == pynvml.NVML_ERROR_NOT_FOUND:
        return []
    if code != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(code)
    return _unpacked(_SAMPLE, buffer, count.value)


def _unpacked(entry: Struct, buffer: Array[c_char], count: int) -> list[tuple[Any, ...]]:
    # A driver that says more than there is room for has not written more either.
    size = min(count * entry.size, len(buffer) // entry.size * entry.size)
    return list(entry.iter_unpack(memoryview(buffer)[:size]))


def _instance(value: int, mig: dict[str, Any] | None, which: str) -> int | None:
    if value != _NO_INSTANCE:
        return value if mig is not None else None
    return None if mig is None else mig[f"{which}_instance_id"]


_BUFFER: Final = create_string_buffer(_ROOM * _ENTRY.size)

"""The slices of a GPU in MIG mode.

Their handles do not last: a slice may go at any time, and its handle may then stand for another.
So they are asked for anew at each reading.
"""

from __future__ import annotations

from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.nvml_calls import MEMORY_MAX, memory_v2
from citadel_k8s.collectors.nvml_library import pynvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, TypeAlias

    from citadel_k8s.collectors.nvml_calls import GpuCalls

    Slice: TypeAlias = tuple[pynvml.c_nvmlDevice_t, dict[str, Any]]

SLICES_MAX: Final = 16
"""Most slices that a GPU may have; seven so far."""

_INSTANCE_MAX: Final = 255


def of_slice(name: str) -> str:
    """Give the name of a call on a slice, which is not supported or hangs on its own account."""
    return f"{name} (MIG)"


def read_slices(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> list[Slice] | None:
    """Read the slices of a GPU in MIG mode; None where the driver does not say."""
    name = "nvmlDeviceGetMaxMigDeviceCount"
    count = calls.ask(name, pynvml.nvmlDeviceGetMaxMigDeviceCount, handle)
    if count is None:
        return None
    slices: list[Slice] = []
    known: set[str] = set()
    for index in range(min(count, SLICES_MAX)):
        found = calls.ask("nvmlDeviceGetMigDeviceHandleByIndex", _slice_at, handle, index)
        if found is None:
            continue
        mig = _read_one(calls, found)
        # Two slices of one id are a slip of the driver's in the midst of a change.
        if mig is not None and mig["uuid"] not in known:
            known.add(mig["uuid"])
            slices.append((found, mig))
    return slices


def _slice_at(handle: pynvml.c_nvmlDevice_t, index: int) -> pynvml.c_nvmlDevice_t | None:
    try:
        return pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_NOT_SUPPORTED:
            return None  # said of a place where no slice is, and not of the call
        raise


def _read_one(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any] | None:
    uuid = calls.ask(of_slice("nvmlDeviceGetUUID"), pynvml.nvmlDeviceGetUUID, handle)
    if not uuid:
        return None
    name = calls.ask(of_slice("nvmlDeviceGetName"), pynvml.nvmlDeviceGetName, handle)
    gi = calls.ask("nvmlDeviceGetGpuInstanceId", pynvml.nvmlDeviceGetGpuInstanceId, handle)
    ci = calls.ask("nvmlDeviceGetComputeInstanceId", pynvml.nvmlDeviceGetComputeInstanceId, handle)
    memory = calls.ask(of_slice("nvmlDeviceGetMemoryInfo_v2"), memory_v2, handle)
    total = memory.total if memory and 0 < memory.total <= MEMORY_MAX else None
    used = memory.used if memory and total is not None and memory.used <= total else None
    return {
        "uuid": clean(uuid, 96),
        "profile": _profile(name),
        "gpu_instance_id": gi if gi is not None and gi <= _INSTANCE_MAX else None,
        "compute_instance_id": ci if ci is not None and ci <= _INSTANCE_MAX else None,
        "memory_used_bytes": used,
        "memory_total_bytes": total,
    }


def _profile(name: str | None) -> str | None:
    # "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    _, found, profile = (name or "").rpartition(" MIG ")
    return clean(profile, 32) if found else None

"""NVIDIA GPUs by NVML. One lost or hung GPU does not hide the others."""

from __future__ import annotations

import ctypes
import os

import pynvml

from citadel_k8s.collectors.lines import WHOLE_GPU, absent, clean, failed, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, TypeVar

    from citadel_k8s.collectors.lines import Announce, Answer, Skip

    T = TypeVar("T")

REPROBE_COLLECTIONS: Final = 360
"""Collections after which a call that a GPU does not support is tried again: an hour at one in
ten seconds, since only a new driver or a change of MIG mode can alter it."""

DRIVER_ROOTS: Final = (
    "run/nvidia/driver/usr/lib/x86_64-linux-gnu",
    "run/nvidia/driver/usr/lib/aarch64-linux-gnu",
    "run/nvidia/driver/usr/lib64",
    "home/kubernetes/bin/nvidia/lib64",
)
"""Where the GPU Operator and GKE keep the driver's libraries, below the host's root."""

_LIBRARY: Final = "libnvidia-ml.so.1"

_REASONS: Final = {
    pynvml.NVML_ERROR_NO_PERMISSION: "NoPermission",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "DriverNotLoaded",
    pynvml.NVML_ERROR_TIMEOUT: "Timeout",
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "NvmlLibraryNotFound",
    pynvml.NVML_ERROR_GPU_IS_LOST: "GpuLost",
    pynvml.NVML_ERROR_RESET_REQUIRED: "ResetRequired",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "DriverMismatch",
    pynvml.NVML_ERROR_NOT_READY: "NotReady",
    pynvml.NVML_ERROR_UNKNOWN: "NvmlUnknownError",
}

_NOTHING_THERE: Final = frozenset({"NvmlLibraryNotFound", "DriverNotLoaded", "VisibleDevicesVoid"})
_GPU_FAULTS: Final = frozenset({"GpuLost", "ResetRequired", "Unresponsive"})
_UNSUPPORTED: Final = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    }
)


class _Fault:
    """The first thing that went wrong with a GPU in one collection."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.message: str | None = None
        self.final = False

    def note(self, reason: str, message: str) -> None:
        if self.reason is None or (reason in _GPU_FAULTS and self.reason not in _GPU_FAULTS):
            self.reason, self.message = reason, message
        # A GPU that is gone answers nothing else; asking on only costs time.
        self.final = self.final or reason in {"GpuLost", "ResetRequired"}

    @property
    def health(self) -> str:
        if self.reason is None:
            return "ok"
        return "failed" if self.reason in _GPU_FAULTS else "unknown"


class NvmlSource:
    """Reads all NVIDIA GPUs.

    Parameters
    ----------
    root : str
        Where the host's ``/`` is seen from here; its driver folders are looked into when the
        library is not on the loader's own path.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._initialized = False
        self._driver: str | None = None
        self._collections = 0
        self._unsupported: dict[tuple[int, str], int] = {}

    def collect(self, announce: Announce, skip: Skip, args: dict[str, Any]) -> Answer:
        """Read the GPUs; start NVML first if it is not running."""
        self._collections += 1
        stuck = next((why for (gpu, _), why in skip.items() if gpu is None), None)
        if stuck is not None:
            return failed("Unresponsive", stuck)
        try:
            self._start(announce)
            announce(None, "nvmlDeviceGetCount")
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            return self._source_error(error)
        gpus = [_GpuRead(self, i, announce, skip).read() for i in range(count)]
        if count and all(gpu["reason"] == "Uninitialized" for gpu in gpus):
            self._initialized = False
        return reading({"driver": self._driver, "gpus": gpus})

    def unsupported(self, gpu: int, call: str) -> bool:
        """Say whether the GPU lately said that it does not support this call."""
        since = self._unsupported.get((gpu, call))
        return since is not None and self._collections - since < REPROBE_COLLECTIONS

    def remember_unsupported(self, gpu: int, call: str) -> None:
        """Leave this call out for a while: the GPU does not support it."""
        self._unsupported[gpu, call] = self._collections

    def _start(self, announce: Announce) -> None:
        if self._initialized:
            return
        announce(None, "nvmlInit")
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_LIBRARY_NOT_FOUND or not self._preload():
                raise
            pynvml.nvmlInit()
        announce(None, "nvmlSystemGetDriverVersion")
        self._driver = clean(pynvml.nvmlSystemGetDriverVersion(), 64)
        self._initialized = True

    def _preload(self) -> bool:
        # The loader takes a library that is already there for the one asked for by the same name.
        for folder in DRIVER_ROOTS:
            try:
                ctypes.CDLL(f"{self._root.rstrip('/')}/{folder}/{_LIBRARY}")
            except OSError:
                continue
            return True
        return False

    def _source_error(self, error: pynvml.NVMLError) -> Answer:
        self._initialized = False
        reason = _reason(error)
        if reason == "NvmlLibraryNotFound" and os.environ.get("NVIDIA_VISIBLE_DEVICES") == "void":
            reason = "VisibleDevicesVoid"
        message = _MESSAGES.get(reason, clean(str(error)))
        return absent(reason, message) if reason in _NOTHING_THERE else failed(reason, message)


_MESSAGES: Final = {
    "NvmlLibraryNotFound": f"{_LIBRARY} is not on this node, or not visible to the agent",
    "VisibleDevicesVoid": "the container runtime hides all GPUs: NVIDIA_VISIBLE_DEVICES=void",
    "DriverNotLoaded": "the NVIDIA kernel driver is not loaded",
    "DriverMismatch": "the NVIDIA library and kernel driver are of different versions",
    "NoPermission": "no permission to talk to the NVIDIA driver",
}


class _GpuRead:
    """One reading of one GPU."""

    def __init__(self, source: NvmlSource, index: int, announce: Announce, skip: Skip) -> None:
        self._source = source
        self._index = index
        self._announce = announce
        self._skip = skip
        self._fault = _Fault()

    def read(self) -> dict[str, Any]:
        values: dict[str, Any] = {"index": self._index}
        if (why := self._skip.get((self._index, WHOLE_GPU))) is not None:
            self._fault.note("Unresponsive", why)
        else:
            handle = self._ask(
                "nvmlDeviceGetHandleByIndex", pynvml.nvmlDeviceGetHandleByIndex, self._index
            )
            if handle is not None:
                values |= self._identity(handle) | self._measures(handle)
        return values | {
            "health": self._fault.health,
            "reason": self._fault.reason,
            "message": self._fault.message,
        }

    def _identity(self, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
        uuid = self._ask("nvmlDeviceGetUUID", pynvml.nvmlDeviceGetUUID, handle)
        name = self._ask("nvmlDeviceGetName", pynvml.nvmlDeviceGetName, handle)
        return {
            "uuid": None if uuid is None else clean(uuid, 96),
            "name": None if name is None else clean(name, 96),
        }

    def _measures(self, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
        memory = self._memory(handle)
        rates = self._ask(
            "nvmlDeviceGetUtilizationRates", pynvml.nvmlDeviceGetUtilizationRates, handle
        )
        temperature = self._ask("nvmlDeviceGetTemperature", _temperature, handle)
        power = self._ask("nvmlDeviceGetPowerUsage", pynvml.nvmlDeviceGetPowerUsage, handle)
        limit = self._ask(
            "nvmlDeviceGetEnforcedPowerLimit", pynvml.nvmlDeviceGetEnforcedPowerLimit, handle
        )
        return {
            "memory_used_bytes": None if memory is None else memory.used,
            "memory_total_bytes": None if memory is None else memory.total,
            "utilization_ratio": None if rates is None else rates.gpu / 100,
            "temperature_celsius": temperature,
            "power_watts": None if power is None else power / 1000,
            "power_limit_watts": None if limit is None else limit / 1000,
        }

    def _memory(self, handle: pynvml.c_nvmlDevice_t) -> pynvml.c_nvmlMemory_t | None:
        # The first version counts the driver's own reserve as used.
        memory = self._ask("nvmlDeviceGetMemoryInfo_v2", _memory_v2, handle)
        if memory is not None or self._fault.final:
            return memory
        return self._ask("nvmlDeviceGetMemoryInfo", pynvml.nvmlDeviceGetMemoryInfo, handle)

    def _ask(self, name: str, call: Callable[..., T], *arguments: object) -> T | None:
        """Make a call unless it is known to be useless now; note what goes wrong."""
        if self._fault.final or self._source.unsupported(self._index, name):
            return None
        if (why := self._skip.get((self._index, name))) is not None:
            self._fault.note("Unresponsive", why)
            return None
        self._announce(self._index, name)
        try:
            return call(*arguments)
        except pynvml.NVMLError as error:
            if error.value in _UNSUPPORTED:
                self._source.remember_unsupported(self._index, name)
            else:
                self._fault.note(_reason(error), f"{name}: {clean(str(error))}")
        except UnicodeDecodeError as error:
            self._fault.note("BadText", f"{name}: {clean(str(error))}")
        return None


def _memory_v2(handle: pynvml.c_nvmlDevice_t) -> pynvml.c_nvmlMemory_t:
    return pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)


def _temperature(handle: pynvml.c_nvmlDevice_t) -> int:
    return pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)


def _reason(error: pynvml.NVMLError) -> str:
    if error.value == pynvml.NVML_ERROR_UNINITIALIZED:
        return "Uninitialized"
    return _REASONS.get(error.value, "NvmlError")

"""Calls on one NVIDIA GPU: announced, left out where useless, and what goes wrong kept."""

from __future__ import annotations

from citadel_k8s.collectors.lines import WHOLE_GPU, clean
from citadel_k8s.collectors.nvml_library import pynvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final, TypeVar

    from citadel_k8s.collectors.lines import Announce, Skip

    T = TypeVar("T")
    N = TypeVar("N", bound=float)

REPROBE_COLLECTIONS: Final = 120
"""Collections after which a call that a GPU does not support is tried again: an hour at two a
minute, since only a new driver or a change of MIG mode can alter it."""

OVER: Final = frozenset({"GpuLost", "ResetRequired", "Uninitialized"})
"""Reasons after which a GPU answers nothing else in this collection; asking on costs time."""

MEMORY_MAX: Final = 2**48
"""Most bytes of memory that a GPU may have: 256 TiB, a thousand times today's largest."""

_REASONS: Final = {
    pynvml.NVML_ERROR_UNINITIALIZED: "Uninitialized",
    pynvml.NVML_ERROR_NO_PERMISSION: "NoPermission",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "DriverNotLoaded",
    pynvml.NVML_ERROR_TIMEOUT: "Timeout",
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "NvmlLibraryNotFound",
    pynvml.NVML_ERROR_GPU_IS_LOST: "GpuLost",
    pynvml.NVML_ERROR_RESET_REQUIRED: "ResetRequired",
    # "Blocked by the operating system/cgroups", in the words of NVML's own manual.
    pynvml.NVML_ERROR_OPERATING_SYSTEM: "NoPermission",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "DriverMismatch",
    pynvml.NVML_ERROR_NOT_READY: "NotReady",
    pynvml.NVML_ERROR_UNKNOWN: "NvmlUnknownError",
}

_GPU_FAULTS: Final = frozenset({"GpuLost", "ResetRequired", "Unresponsive"})

_UNSUPPORTED: Final = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    }
)

_FIELD_TYPES: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


def reason_of(code: int) -> str:
    """Give the reason that stands for an error of NVML."""
    return _REASONS.get(code, "NvmlError")


class Fault:
    """The worst thing that went wrong with a GPU in one collection; of equals the first."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.message: str | None = None
        self.over = False

    def note(self, reason: str, message: str) -> None:
        """Keep a fault if it is the first, or the first of the GPU itself."""
        if self.reason is None or (reason in _GPU_FAULTS and self.reason not in _GPU_FAULTS):
            self.reason, self.message = reason, message
        self.over = self.over or reason in OVER

    @property
    def health(self) -> str:
        """Say how the GPU is, in the words of `citadel_k8s.models.readings.Gpu`."""
        if self.reason is None:
            return "ok"
        return "failed" if self.reason in _GPU_FAULTS else "unknown"


class GpuCalls:
    """Makes calls on one GPU and remembers which it does not support.

    A call is *core* if without its value nobody can say how the GPU is: only the errors of those,
    and those that tell of the GPU as a whole, are faults. Any other value is just not known.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.fault = Fault()
        self.left_out = False
        self._announce: Announce = _nothing
        self._skip: dict[str, str] = {}
        self._unsupported: dict[str | int, int] = {}
        self._number = 0

    def begin(self, number: int, announce: Announce, skip: Skip) -> bool:
        """Begin a collection; say whether a call left out before may be made again."""
        self._number, self._announce, self.fault = number, announce, Fault()
        before = self._skip
        self._skip = {call: why for (gpu, call), why in skip.items() if gpu == self.index}
        for why in self._skip.values():
            # Told in each collection: a call of a slow tier still hangs when it is not due.
            self.fault.note("Unresponsive", why)
        self.left_out = WHOLE_GPU in self._skip
        return any(call not in self._skip for call in before)

    def supports(self, name: str | int) -> bool:
        """Say whether the GPU did not lately say that it lacks this call or field."""
        if not self._unsupported:
            return True
        since = self._unsupported.get(name)
        return since is None or self._number - since >= REPROBE_COLLECTIONS

    def forget(self) -> None:
        """Take nothing for unsupported any more: the GPU's mode has changed."""
        self._unsupported.clear()

    def ask(
        self, name: str, call: Callable[..., T], *arguments: object, core: bool = False
    ) -> T | None:
        """Make a call unless it is known to be useless now; None where it gave no value."""
        if self.fault.over or not self.supports(name) or name in self._skip:
            return None
        self._announce(self.index, name)
        try:
            return call(*arguments)
        except pynvml.NVMLError as error:
            self._failed(name, error.value, core=core)
        except UnicodeDecodeError as error:
            self.fault.note("BadText", f"{name}: {clean(str(error))}")
        return None

    def fields(
        self, handle: pynvml.c_nvmlDevice_t, fields: Iterable[int]
    ) -> dict[int, int | float]:
        """Give those of some field values that the GPU has, read by one call."""
        # With a scope, or the library makes an exception of each on its way.
        wanted = [(field, 0) for field in fields if self.supports(field)]
        if not wanted:
            return {}
        name = "nvmlDeviceGetFieldValues"
        values = self.ask(name, pynvml.nvmlDeviceGetFieldValues, handle, wanted)
        found: dict[int, int | float] = {}
        for value in values or ():
            if value.nvmlReturn == pynvml.NVML_SUCCESS:
                if value.valueType < len(_FIELD_TYPES):
                    found[value.fieldId] = getattr(value.value, _FIELD_TYPES[value.valueType])
            elif value.nvmlReturn in _UNSUPPORTED:
                self._unsupported[value.fieldId] = self._number
            else:
                self._failed(name, value.nvmlReturn, core=False)
        return found

    def believe(
        self, what: str, value: N | None, low: float, high: float, *, core: bool = False
    ) -> N | None:
        """Give a value that can be: drivers of broken GPUs give numbers that cannot."""
        if value is None or low <= value <= high:
            return value
        if core:
            self.fault.note("BadValue", f"{what} of {value} cannot be")
        return None

    def _failed(self, name: str, code: int, *, core: bool) -> None:
        if code in _UNSUPPORTED:
            self._unsupported[name] = self._number
            return
        reason = reason_of(code)
        if core or reason in OVER:
            self.fault.note(reason, f"{name}: {clean(str(pynvml.NVMLError(code)))}")


def memory_v2(handle: pynvml.c_nvmlDevice_t) -> pynvml.c_nvmlMemory_t:
    """Read memory by the second version of the call: the driver's reserve is not in ``used``."""
    return pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)


def _nothing(_gpu: int | None, _call: str) -> None:
    pass

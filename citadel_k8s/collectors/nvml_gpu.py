"""One NVIDIA GPU, read in tiers: what moves each time, the rest seldom and carried in between."""

from __future__ import annotations

from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.nvml_calls import GpuCalls
from citadel_k8s.collectors.nvml_fast import PCIE_GENERATION, read_clocks, read_fast
from citadel_k8s.collectors.nvml_library import pynvml
from citadel_k8s.collectors.nvml_mig import read_slices
from citadel_k8s.collectors.nvml_processes import ProcessReader
from citadel_k8s.collectors.nvml_slow import pcie_now, read_links, read_maxima, read_slow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from citadel_k8s.collectors.lines import Announce, Skip

STATIC_EVERY: Final = 120
"""Collections between two readings of what does not change while a driver runs: an hour."""

LINKS_EVERY: Final = 10
"""Collections between two readings of the links to other GPUs: five minutes. Eighteen of them are
72 calls, a GPU's other calls together are 40, and an event has all read at once anyway."""

SLOW_EVERY: Final = 4
"""Collections between two readings of limits and counters: two minutes, and after an event."""

IDENTITY: Final = ("uuid", "name", "pci_bus_id")
"""What a GPU is known by; it stays true of one that is lost."""

_TEXT: Final = 96


class GpuReader:
    """Reads one GPU again and again.

    Parameters
    ----------
    index : int
        The GPU's number as NVML counts.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.handle: pynvml.c_nvmlDevice_t | None = None
        self._calls = GpuCalls(index)
        self._processes = ProcessReader(self._calls)
        self._first = 0
        self._with_reserve = False
        self._was_over = True
        self._identity: dict[str, Any] = dict.fromkeys(IDENTITY)
        self._maxima: dict[str, Any] = {}
        self._slow: dict[str, Any] = {}
        self._shared: dict[str, Any] = {}

    @property
    def uuid(self) -> str | None:
        """What the GPU is known by, once it has been read."""
        uuid: str | None = self._identity["uuid"]
        return uuid

    def read(
        self, number: int, announce: Announce, skip: Skip, *, everything: bool
    ) -> dict[str, Any]:
        """Read the GPU; all tiers if the collection asks for it, or if the GPU came back."""
        calls = self._calls
        everything |= calls.begin(number, announce, skip) or self._was_over
        if everything:
            self._first = number
        values: dict[str, Any] = {}
        if not calls.left_out:
            values = self._values(number - self._first)
        # The identity of a GPU that is gone is still its own; its last figures are not.
        self._was_over = calls.fault.over or calls.left_out or self.handle is None
        return {
            "index": self.index,
            **self._identity,
            **({} if self._was_over else values),
            "health": calls.fault.health,
            "reason": calls.fault.reason,
            "message": calls.fault.message,
        }

    def _values(self, age: int) -> dict[str, Any]:
        calls = self._calls
        if self.handle is None:
            name = "nvmlDeviceGetHandleByIndex"
            self.handle = calls.ask(name, pynvml.nvmlDeviceGetHandleByIndex, self.index, core=True)
        handle = self.handle
        if handle is None:
            return {}
        if age % STATIC_EVERY == 0 or self.uuid is None:
            self._identity = self._read_identity(handle)
            self._maxima = read_maxima(calls, handle)
        values, self._with_reserve = read_fast(calls, handle)
        if not calls.fault.over:
            self._shared = self._read_shared(handle, values) | read_clocks(calls, handle)
        if age % SLOW_EVERY == 0 and not calls.fault.over:
            self._slow = read_slow(calls, handle, self._maxima)
        if age % LINKS_EVERY == 0 and not calls.fault.over:
            # Told once: whoever asked carries them, which spares three quarters of each answer.
            values["nvlinks"] = read_links(calls, handle)
        generation = values.pop(PCIE_GENERATION)
        return values | self._shared | self._slow | pcie_now(self._slow.get("pcie"), generation)

    def _read_identity(self, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
        calls = self._calls
        uuid = calls.ask("nvmlDeviceGetUUID", pynvml.nvmlDeviceGetUUID, handle, core=True)
        name = calls.ask("nvmlDeviceGetName", pynvml.nvmlDeviceGetName, handle)
        pci = calls.ask("nvmlDeviceGetPciInfo", _pci_bus_id, handle)
        read = {"uuid": uuid, "name": name, "pci_bus_id": pci}
        # One text that cannot be read now may have been read before.
        return {
            key: clean(text, _TEXT) if text else self._identity[key] for key, text in read.items()
        }

    def _read_shared(self, handle: pynvml.c_nvmlDevice_t, fast: dict[str, Any]) -> dict[str, Any]:
        """Read who shares the GPU: its slices and its processes."""
        calls = self._calls
        mode = calls.ask("nvmlDeviceGetMigMode", pynvml.nvmlDeviceGetMigMode, handle)
        enabled = None if mode is None or mode[0] not in {0, 1} else mode[0] == 1
        if enabled != self._shared.get("mig_enabled", enabled):
            # A GPU in the other mode lacks other calls.
            calls.forget()
        if not enabled:
            processes = self._processes.read(handle, fast, with_reserve=self._with_reserve)
            return {"mig_enabled": enabled, "mig": None, "processes": processes}
        slices = read_slices(calls, handle)
        return {
            "mig_enabled": True,
            "mig": None if slices is None else [mig for _, mig in slices],
            "processes": None if slices is None else self._processes.read_slices(slices),
        }


def _pci_bus_id(handle: pynvml.c_nvmlDevice_t) -> str:
    return pynvml.nvmlDeviceGetPciInfo(handle).busId

"""One NVIDIA GPU, read in tiers: what moves each time, the rest seldom and carried in between."""

from __future__ import annotations

import pynvml

from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.nvml_calls import MEMORY_MAX, GpuCalls, memory_v2
from citadel_k8s.collectors.nvml_mig import read_slices
from citadel_k8s.collectors.nvml_processes import ProcessReader
from citadel_k8s.collectors.nvml_slow import read_maxima, read_slow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from citadel_k8s.collectors.lines import Announce, Skip

STATIC_EVERY: Final = 360
"""Collections between two readings of what does not change while a driver runs: an hour."""

SLOW_EVERY: Final = 6
"""Collections between two readings of counters and links: a minute. Eighteen NVLinks alone are
72 calls, and an event has all read at once anyway."""

PROCESSES_EVERY: Final = 3
"""Collections between two readings of slices and processes: half a minute, as often as a status
leaves."""

IDENTITY: Final = ("uuid", "name", "pci_bus_id")
"""What a GPU is known by; it stays true of one that is lost."""

_MEGAHERTZ: Final = 1_000_000
_CLOCK_MAX: Final = 20_000
_MILLI: Final = 1000
_POWER_MAX: Final = 20_000_000
_ENERGY_MAX: Final = 2**63
_COLDEST: Final = -50
_HOTTEST: Final = 200
_SIGN: Final = 2**31
_TEXT: Final = 96

_CLOCKS: Final = (
    ("clock_graphics_hertz", pynvml.NVML_CLOCK_GRAPHICS),
    ("clock_sm_hertz", pynvml.NVML_CLOCK_SM),
    ("clock_memory_hertz", pynvml.NVML_CLOCK_MEM),
)

THROTTLE_WORDS: Final = (
    (0x1, "gpu-idle"),
    (0x2, "app-clocks"),
    (0x4, "sw-power-cap"),
    (0x8, "hw-slowdown"),
    (0x10, "sync-boost"),
    (0x20, "sw-thermal"),
    (0x40, "hw-thermal"),
    (0x80, "hw-power-brake"),
    (0x100, "display-clock"),
    (0x200, "board-limit"),
    (0x400, "reliability"),
)
"""Bits of NVML's mask of reasons why the clocks are not at their highest, as words that last."""

_FAST_FIELDS: Final = (
    pynvml.NVML_FI_DEV_MEMORY_TEMP,
    pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
)


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
        values = self._fast(handle)
        if age % PROCESSES_EVERY == 0 and not calls.fault.over:
            self._shared = self._read_shared(handle, values)
        if age % SLOW_EVERY == 0 and not calls.fault.over:
            self._slow = read_slow(calls, handle, self._maxima)
        return values | self._shared | self._slow

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

    def _fast(self, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
        ask = self._calls.ask
        values = self._memory(handle)
        name = "nvmlDeviceGetUtilizationRates"
        rates = ask(name, pynvml.nvmlDeviceGetUtilizationRates, handle, core=True)
        busy, bus = (rates.gpu, rates.memory) if rates else (None, None)
        values["utilization_ratio"] = self._ratio("utilization", busy, core=True)
        values["memory_bus_ratio"] = self._ratio("memory bus", bus)
        values["temperature_celsius"] = self._temperature(handle)
        power = ask("nvmlDeviceGetPowerUsage", pynvml.nvmlDeviceGetPowerUsage, handle, core=True)
        sane = self._calls.check("power", power, 0, _POWER_MAX)
        values["power_watts"] = power / _MILLI if power is not None and sane else None
        for key, clock in _CLOCKS:
            value = ask("nvmlDeviceGetClockInfo", pynvml.nvmlDeviceGetClockInfo, handle, clock)
            sane = self._calls.check(key, value, 0, _CLOCK_MAX)
            values[key] = value * _MEGAHERTZ if value is not None and sane else None
        values["throttle_reasons"] = self._throttle(handle)
        return values | self._fast_fields(handle)

    def _memory(self, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
        calls, v2 = self._calls, "nvmlDeviceGetMemoryInfo_v2"
        memory = calls.ask(v2, memory_v2, handle, core=True)
        # The first version counts the driver's own reserve as used.
        self._with_reserve = memory is None
        if memory is None:
            v1 = "nvmlDeviceGetMemoryInfo"
            memory = calls.ask(v1, pynvml.nvmlDeviceGetMemoryInfo, handle, core=True)
        total, used = (None, None) if memory is None else (memory.total, memory.used)
        if not calls.check("memory", total, 1, MEMORY_MAX, core=True):
            return {"memory_used_bytes": None, "memory_total_bytes": None}
        if not calls.check("used memory", used, 0, total or 0, core=True):
            used = None
        return {"memory_used_bytes": used, "memory_total_bytes": total}

    def _temperature(self, handle: pynvml.c_nvmlDevice_t) -> int | None:
        calls = self._calls
        value = calls.ask("nvmlDeviceGetTemperature", _temperature, handle, core=True)
        if value is None and not calls.supports("nvmlDeviceGetTemperature"):
            # A later library has only the call that replaces it.
            value = calls.ask("nvmlDeviceGetTemperatureV", _temperature_v, handle, core=True)
        return value if calls.check("temperature", value, _COLDEST, _HOTTEST, core=True) else None

    def _throttle(self, handle: pynvml.c_nvmlDevice_t) -> list[str] | None:
        calls, name = self._calls, "nvmlDeviceGetCurrentClocksEventReasons"
        mask = calls.ask(name, pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        if mask is None and not calls.supports(name):
            name = "nvmlDeviceGetCurrentClocksThrottleReasons"
            mask = calls.ask(name, pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        return None if mask is None else [word for bit, word in THROTTLE_WORDS if mask & bit]

    def _fast_fields(self, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
        calls = self._calls
        fields = calls.fields(handle, _FAST_FIELDS)
        degrees = fields.get(pynvml.NVML_FI_DEV_MEMORY_TEMP)
        # A GPU whose memory has no sensor says 0, and no memory at work is that cold.
        known = calls.check("memory temperature", degrees, 1, _HOTTEST)
        energy = fields.get(pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION)
        if energy is None:
            name = "nvmlDeviceGetTotalEnergyConsumption"
            energy = calls.ask(name, pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
        sane = calls.check("energy", energy, 0, _ENERGY_MAX)
        return {
            "memory_temperature_celsius": int(degrees) if degrees is not None and known else None,
            "energy_joules": energy / _MILLI if energy is not None and sane else None,
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

    def _ratio(self, what: str, percent: int | None, *, core: bool = False) -> float | None:
        if percent is None or not self._calls.check(what, percent, 0, 100, core=core):
            return None
        return percent / 100


def _temperature(handle: pynvml.c_nvmlDevice_t) -> int:
    return _signed(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))


def _temperature_v(handle: pynvml.c_nvmlDevice_t) -> int:
    return _signed(pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))


def _signed(degrees: int) -> int:
    # The library hands over an unsigned number.
    return degrees - 2 * _SIGN if degrees >= _SIGN else degrees


def _pci_bus_id(handle: pynvml.c_nvmlDevice_t) -> str:
    return pynvml.nvmlDeviceGetPciInfo(handle).busId

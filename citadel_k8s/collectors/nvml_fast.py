"""What moves on an NVIDIA GPU: memory, how busy and how warm it is, power and clocks."""

from __future__ import annotations

from citadel_k8s.collectors.nvml_calls import MEMORY_MAX, memory_v2
from citadel_k8s.collectors.nvml_library import pynvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from citadel_k8s.collectors.nvml_calls import GpuCalls

COLDEST: Final = -50
"""Lowest temperature that is believed, in degrees Celsius: below what any GPU is built for."""

HOTTEST: Final = 200
"""Highest temperature that is believed; GPUs switch themselves off at some 110."""

POWER_MAX: Final = 20_000_000
"""Highest power that is believed, in milliwatts: 20 kW, more than a whole machine of eight."""

CLOCK_MAX: Final = 20_000
"""Highest clock that is believed, in megahertz."""

ENERGY_MAX: Final = 2**63
"""Highest energy that is believed, in millijoules: beyond is "not available"."""

PCIE_GENERATION: Final = "pcie_generation"
"""Key of the link's generation, which moves with the load as nothing else of the link does: one
of before a job began, beside the utilization of now, would pass for a bad link."""

_MEGAHERTZ: Final = 1_000_000
_MILLI: Final = 1000
_SIGN: Final = 2**31

_CLOCKS: Final = (
    ("clock_graphics_hertz", pynvml.NVML_CLOCK_GRAPHICS),
    ("clock_sm_hertz", pynvml.NVML_CLOCK_SM),
    ("clock_memory_hertz", pynvml.NVML_CLOCK_MEM),
)

THROTTLE_WORDS: Final = (
    (0x1, "gpu-idle"),
    (0x2, "applications-clocks"),
    (0x4, "sw-power-cap"),
    (0x8, "hw-slowdown"),
    (0x10, "sync-boost"),
    (0x20, "sw-thermal-slowdown"),
    (0x40, "hw-thermal-slowdown"),
    (0x80, "hw-power-brake-slowdown"),
    (0x100, "display-clocks"),
    (0x200, "board-limit"),
    (0x400, "reliability"),
)
"""Bits of NVML's mask of reasons why the clocks are not at their highest, as words that last."""

_FIELDS: Final = (
    pynvml.NVML_FI_DEV_MEMORY_TEMP,
    pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
)


def read_fast(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> tuple[dict[str, Any], bool]:
    """Read what moves; and say whether the used memory counts the driver's reserve too."""
    ask, believe = calls.ask, calls.believe
    memory, with_reserve = _memory(calls, handle)
    name = "nvmlDeviceGetUtilizationRates"
    rates = ask(name, pynvml.nvmlDeviceGetUtilizationRates, handle, core=True)
    busy, bus = (rates.gpu, rates.memory) if rates else (None, None)
    values = {
        **memory,
        "utilization_ratio": _over(believe("utilization", busy, 0, 100, core=True), 100),
        "memory_bus_ratio": _over(believe("memory bus", bus, 0, 100), 100),
        "temperature_celsius": _temperature(calls, handle),
    }
    name = "nvmlDeviceGetCurrPcieLinkGeneration"
    values[PCIE_GENERATION] = ask(name, pynvml.nvmlDeviceGetCurrPcieLinkGeneration, handle)
    return values, with_reserve


def read_clocks(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
    """Read power, energy and clocks, and why those are low."""
    name = "nvmlDeviceGetPowerUsage"
    power = calls.ask(name, pynvml.nvmlDeviceGetPowerUsage, handle, core=True)
    clocks = _by_fields(calls, handle)
    clocks["power_watts"] = _over(calls.believe("power", power, 0, POWER_MAX), _MILLI)
    for key, clock in _CLOCKS:
        value = calls.ask("nvmlDeviceGetClockInfo", pynvml.nvmlDeviceGetClockInfo, handle, clock)
        megahertz = calls.believe(key, value, 0, CLOCK_MAX)
        clocks[key] = None if megahertz is None else megahertz * _MEGAHERTZ
    clocks["throttle_reasons"] = _throttle(calls, handle)
    return clocks


def _memory(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> tuple[dict[str, Any], bool]:
    v1, v2 = "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryInfo_v2"
    memory = calls.ask(v2, memory_v2, handle, core=True)
    # The first version counts the driver's own reserve as used.
    with_reserve = memory is None
    if memory is None:
        memory = calls.ask(v1, pynvml.nvmlDeviceGetMemoryInfo, handle, core=True)
    total = used = None
    if memory is not None:
        total = calls.believe("memory", memory.total, 1, MEMORY_MAX, core=True)
    if memory is not None and total is not None:
        used = calls.believe("used memory", memory.used, 0, total, core=True)
    return {"memory_used_bytes": used, "memory_total_bytes": total}, with_reserve


def _temperature(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> int | None:
    value = calls.ask("nvmlDeviceGetTemperature", _degrees, handle, core=True)
    if value is None and not calls.supports("nvmlDeviceGetTemperature"):
        # A later library has only the call that replaces it.
        value = calls.ask("nvmlDeviceGetTemperatureV", _degrees_v, handle, core=True)
    return calls.believe("temperature", value, COLDEST, HOTTEST, core=True)


def _throttle(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> list[str] | None:
    name = "nvmlDeviceGetCurrentClocksEventReasons"
    mask = calls.ask(name, pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    if mask is None and not calls.supports(name):
        name = "nvmlDeviceGetCurrentClocksThrottleReasons"
        mask = calls.ask(name, pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    return None if mask is None else [word for bit, word in THROTTLE_WORDS if mask & bit]


def _by_fields(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
    fields = calls.fields(handle, _FIELDS)
    degrees = fields.get(pynvml.NVML_FI_DEV_MEMORY_TEMP)
    energy = fields.get(pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION)
    if energy is None:
        name = "nvmlDeviceGetTotalEnergyConsumption"
        energy = calls.ask(name, pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    # A GPU whose memory has no sensor says 0, and no memory at work is that cold.
    warmth = calls.believe("memory temperature", degrees, 1, HOTTEST)
    return {
        "memory_temperature_celsius": None if warmth is None else int(warmth),
        "energy_joules": _over(calls.believe("energy", energy, 0, ENERGY_MAX), _MILLI),
    }


def _over(value: float | None, divisor: int) -> float | None:
    return None if value is None else value / divisor


def _degrees(handle: pynvml.c_nvmlDevice_t) -> int:
    degrees = pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
    # The library hands over an unsigned number.
    return degrees - 2 * _SIGN if degrees >= _SIGN else degrees


def _degrees_v(handle: pynvml.c_nvmlDevice_t) -> int:
    return pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU)

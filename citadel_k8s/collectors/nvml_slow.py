"""What seldom changes on an NVIDIA GPU: error counters, remapped rows, links, limits.

``nvmlDeviceGetPcieThroughput`` is not among it: it samples for 20 ms, twice for each GPU, in
which everything else would wait: with eight GPUs a third of a second for each collection.
"""

from __future__ import annotations

from citadel_k8s.collectors.nvml_fast import POWER_MAX
from citadel_k8s.collectors.nvml_library import pynvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from citadel_k8s.collectors.nvml_calls import GpuCalls

COUNTER_MAX: Final = 2**48
"""Largest count of errors that is believed: drivers give all ones for "not available"."""

PAGES_MAX: Final = 64
"""Memory pages that a GPU without row remapping can retire; at that many, none is left."""

_LINKS_MAX: Final = 36
_GENERATION_MAX: Final = 16
_WIDTH_MAX: Final = 32
_MILLI: Final = 1000

_ECC: Final = (
    ("corrected_volatile", pynvml.NVML_FI_DEV_ECC_SBE_VOL_TOTAL, 0, 0),
    ("uncorrected_volatile", pynvml.NVML_FI_DEV_ECC_DBE_VOL_TOTAL, 1, 0),
    ("corrected_aggregate", pynvml.NVML_FI_DEV_ECC_SBE_AGG_TOTAL, 0, 1),
    ("uncorrected_aggregate", pynvml.NVML_FI_DEV_ECC_DBE_AGG_TOTAL, 1, 1),
)
"""Field of the reading, field of NVML, error type and counter type of the call of old."""

_REMAPPED: Final = (
    pynvml.NVML_FI_DEV_REMAPPED_COR,
    pynvml.NVML_FI_DEV_REMAPPED_UNC,
    pynvml.NVML_FI_DEV_REMAPPED_PENDING,
    pynvml.NVML_FI_DEV_REMAPPED_FAILURE,
)

_RETIRED: Final = (
    pynvml.NVML_FI_DEV_RETIRED_SBE,
    pynvml.NVML_FI_DEV_RETIRED_DBE,
    pynvml.NVML_FI_DEV_RETIRED_PENDING,
)

_FIELDS: Final = (
    *(field for _, field, _, _ in _ECC),
    *_REMAPPED,
    *_RETIRED,
    pynvml.NVML_FI_DEV_ECC_CURRENT,
    pynvml.NVML_FI_DEV_PCIE_REPLAY_COUNTER,
)

_ERRORS: Final = {
    "crc_errors": pynvml.NVML_NVLINK_ERROR_DL_CRC_FLIT,
    "replay_errors": pynvml.NVML_NVLINK_ERROR_DL_REPLAY,
    "recovery_errors": pynvml.NVML_NVLINK_ERROR_DL_RECOVERY,
}


def read_maxima(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> dict[str, Any]:
    """Read what the link to the host can be at most."""
    name = "nvmlDeviceGetMaxPcieLinkGeneration"
    generation = calls.ask(name, pynvml.nvmlDeviceGetMaxPcieLinkGeneration, handle)
    name = "nvmlDeviceGetMaxPcieLinkWidth"
    width = calls.ask(name, pynvml.nvmlDeviceGetMaxPcieLinkWidth, handle)
    return {
        "generation_max": _whole(generation, _GENERATION_MAX),
        "width_max": _whole(width, _WIDTH_MAX),
    }


def read_slow(
    calls: GpuCalls, handle: pynvml.c_nvmlDevice_t, maxima: dict[str, Any]
) -> dict[str, Any]:
    """Read limits, errors and the link to the host; one call gives most of it."""
    fields = calls.fields(handle, _FIELDS)
    name = "nvmlDeviceGetEnforcedPowerLimit"
    limit = calls.ask(name, pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    milliwatts = calls.believe("power limit", limit, 1, POWER_MAX)
    enabled = _ecc_enabled(calls, handle, fields)
    return {
        "power_limit_watts": None if milliwatts is None else milliwatts / _MILLI,
        "ecc_enabled": enabled,
        # What counters say that do not count would pass for a healthy memory.
        "ecc": None if enabled is False else _ecc(calls, handle, fields),
        "row_remap": _row_remap(calls, handle, fields),
        "pcie": _pcie(calls, handle, fields) | maxima,
    }


def _ecc_enabled(
    calls: GpuCalls, handle: pynvml.c_nvmlDevice_t, fields: dict[int, int | float]
) -> bool | None:
    mode = fields.get(pynvml.NVML_FI_DEV_ECC_CURRENT)
    if mode is None:
        modes = calls.ask("nvmlDeviceGetEccMode", pynvml.nvmlDeviceGetEccMode, handle)
        mode = None if modes is None else modes[0]
    return mode == 1 if mode in {0, 1} else None


def _ecc(
    calls: GpuCalls, handle: pynvml.c_nvmlDevice_t, fields: dict[int, int | float]
) -> dict[str, int | None] | None:
    counts: dict[str, int | None] = {}
    for key, field, error, counter in _ECC:
        count = fields.get(field)
        if count is None:
            name = f"nvmlDeviceGetTotalEccErrors ({key})"
            count = calls.ask(name, pynvml.nvmlDeviceGetTotalEccErrors, handle, error, counter)
        counts[key] = _whole(count, COUNTER_MAX)
    return counts if any(count is not None for count in counts.values()) else None


def _row_remap(
    calls: GpuCalls, handle: pynvml.c_nvmlDevice_t, fields: dict[int, int | float]
) -> dict[str, Any] | None:
    rows = [fields.get(field) for field in _REMAPPED]
    if None in rows:
        name = "nvmlDeviceGetRemappedRows"
        rows = list(calls.ask(name, pynvml.nvmlDeviceGetRemappedRows, handle) or (None,) * 4)
    corrected, uncorrected = (_whole(count, COUNTER_MAX) for count in rows[:2])
    pending, failure = rows[2:]
    if corrected is None or uncorrected is None:
        return _retired_pages(fields)
    return {
        "corrected": corrected,
        "uncorrected": uncorrected,
        "pending": bool(pending),
        "failed": bool(failure),
    }


def _retired_pages(fields: dict[int, int | float]) -> dict[str, Any] | None:
    """Give the same of GPUs older than Ampere, which retire pages of memory instead of rows."""
    corrected, uncorrected, pending = (_whole(fields.get(field), COUNTER_MAX) for field in _RETIRED)
    if corrected is None or uncorrected is None or pending is None:
        return None
    return {
        "corrected": corrected,
        "uncorrected": uncorrected,
        "pending": pending > 0,
        "failed": corrected + uncorrected >= PAGES_MAX,
    }


def pcie_now(pcie: dict[str, Any] | None, generation: int | None) -> dict[str, Any]:
    """Give what is known of the link to the host with its generation of now."""
    return {"pcie": (pcie or {}) | {"generation": _whole(generation, _GENERATION_MAX)}}


def _pcie(
    calls: GpuCalls, handle: pynvml.c_nvmlDevice_t, fields: dict[int, int | float]
) -> dict[str, Any]:
    name = "nvmlDeviceGetCurrPcieLinkWidth"
    width = calls.ask(name, pynvml.nvmlDeviceGetCurrPcieLinkWidth, handle)
    replays = fields.get(pynvml.NVML_FI_DEV_PCIE_REPLAY_COUNTER)
    if replays is None:
        name = "nvmlDeviceGetPcieReplayCounter"
        replays = calls.ask(name, pynvml.nvmlDeviceGetPcieReplayCounter, handle)
    return {
        "width": _whole(width, _WIDTH_MAX),
        "replays": _whole(replays, COUNTER_MAX),
    }


def read_links(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t) -> list[dict[str, Any]] | None:
    """Read the links to other GPUs, each with four calls."""
    fields = calls.fields(handle, (pynvml.NVML_FI_DEV_NVLINK_LINK_COUNT,))
    count = _whole(fields.get(pynvml.NVML_FI_DEV_NVLINK_LINK_COUNT), _LINKS_MAX)
    links: list[dict[str, Any]] = []
    for link in range(_LINKS_MAX if count is None else count):
        state = calls.ask("nvmlDeviceGetNvLinkState", _link_state, handle, link)
        if state is None:
            # Links are numbered without gaps: the first that is not there is the end.
            return links or None
        errors = {key: _link_errors(calls, handle, link, key) if state else None for key in _ERRORS}
        links.append({"link": link, "up": state == 1, **errors})
    return links


def _link_state(handle: pynvml.c_nvmlDevice_t, link: int) -> int | None:
    try:
        return pynvml.nvmlDeviceGetNvLinkState(handle, link)
    except pynvml.NVMLError as error:
        beyond = {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_INVALID_ARGUMENT}
        if link > 0 and error.value in beyond:
            return None  # said of this link, and not of the call
        raise


def _link_errors(calls: GpuCalls, handle: pynvml.c_nvmlDevice_t, link: int, key: str) -> int | None:
    # By the link's own call: the fields of the same name are 0 on Hopper whatever happens.
    name = f"nvmlDeviceGetNvLinkErrorCounter ({key})"
    call = pynvml.nvmlDeviceGetNvLinkErrorCounter
    return _whole(calls.ask(name, call, handle, link, _ERRORS[key]), COUNTER_MAX)


def _whole(value: float | None, high: int) -> int | None:
    """Give a count as a whole number; None where it cannot be."""
    return int(value) if value is not None and 0 <= value <= high else None

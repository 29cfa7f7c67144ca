"""What one graphics card's drivers write: amdgpu for AMD, i915 and xe for Intel."""

from __future__ import annotations

import os

from citadel_k8s.collectors.lines import clean
from citadel_k8s.collectors.procfs import known, read_number, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

SMALL_FILE: Final = 4096
"""Most that is read of one file, in bytes: a page, which is all that sysfs gives."""

SENSORS_MAX: Final = 16
"""Temperatures, clocks and powers of one card that are looked at."""

INTEGRATED_SLOT: Final = "0000:00:02."
"""Where each Intel GPU that is part of the CPU sits, since the first one. It shares the host's
memory, and no fleet counts it as a GPU."""

OWN_MEMORY_MIN: Final = 1 << 30
"""Least memory of a GPU that counts, in bytes: graphics in a CPU of AMD set aside 512 MiB of the
host's, unless the firmware is told to give them more because they are to be used so."""

BRIDGE: Final = "0x0604"
"""Start of the PCI class of a bridge, which some cards have on board."""

_GENERATIONS: Final = {"2.5": 1, "5.0": 2, "5": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}


class Card:
    """One card: where its files are, and what it is.

    Parameters
    ----------
    folder : str
        Its folder below ``/sys/class/drm``.
    vendor : str
        ``amd`` or ``intel``.
    """

    def __init__(self, folder: str, vendor: str) -> None:
        self.folder = folder
        self.vendor = vendor
        facts: dict[str, str] = {}
        for word in (self.text("device/uevent", 1024) or "").split():
            key, _, facts[key] = word.partition("=")
        self.slot = facts.get("PCI_SLOT_NAME", "").lower()
        self.driver = facts.get("DRIVER", "")
        self._sensors: list[tuple[str, str]] | None = None

    def text(self, path: str, limit: int = 96) -> str | None:
        """Give what a file holds; None if it cannot be read or is empty."""
        found = known(read_text, f"{self.folder}/{path}", SMALL_FILE)
        return None if found is None else clean(found, limit) or None

    def number(self, *paths: str) -> int | None:
        """Give the number that the first of some files holds that holds one."""
        for path in paths:
            value = read_number(f"{self.folder}/{path}")
            if value is not None:
                return value
        return None

    def uuid(self) -> str | None:
        """Give what tells the card apart for good, else its place on the bus."""
        unique = (self.text("device/unique_id") or "").lower().removeprefix("0x")
        # AMD's own tools and ROCR_VISIBLE_DEVICES write it so.
        if unique.strip("0"):
            return f"GPU-{unique}"
        return f"PCI-{self.slot}" if self.slot else None

    def is_discrete(self) -> bool:
        """Say whether the card has memory of its own, as far as that can be told."""
        if self.vendor == "amd":
            memory = self.number("device/mem_info_vram_total")
            return memory is None or memory >= OWN_MEMORY_MIN
        local = self.number("lmem_total_bytes", "device/tile0/physical_vram_size_bytes")
        return bool(local) or not self.slot.startswith(INTEGRATED_SLOT)

    def is_asleep(self) -> bool:
        """Say whether the card is switched off for want of work; asking much would wake it."""
        return self.text("device/power/runtime_status") == "suspended"

    def sensor(self, *names: str) -> int | None:
        """Give the number of the first of some sensors, as hwmon names them (``temp1_input``)."""
        for name in names:
            for folder, own in self._hwmon():
                if own == name:
                    return read_number(f"{folder}/{name}")
        return None

    def labelled(self, kind: str, *labels: str) -> int | None:
        """Give the number of the sensor of this kind that has the first of some labels."""
        by_label: dict[str, str] = {}
        for folder, name in self._hwmon():
            if name.startswith(kind) and name.endswith("_label") and len(by_label) < SENSORS_MAX:
                label = (known(read_text, f"{folder}/{name}", SMALL_FILE) or "").strip().lower()
                by_label[label] = f"{folder}/{name.removesuffix('_label')}_input"
        for label in labels:
            value = read_number(by_label[label]) if label in by_label else None
            if value is not None:
                return value
        return None

    def _hwmon(self) -> list[tuple[str, str]]:
        if self._sensors is None:
            top = f"{self.folder}/device/hwmon"
            folders = [f"{top}/{name}" for name in sorted(_listed(top))[:SENSORS_MAX]]
            self._sensors = [
                (folder, name) for folder in folders for name in sorted(_listed(folder))
            ]
        return self._sensors


def read_amd(card: Card) -> dict[str, Any]:
    """Give what amdgpu writes about a card, by the names of a GPU's fields."""
    total = card.number("device/mem_info_vram_total")
    if card.is_asleep():
        return {"memory_total_bytes": total}
    errors = known(parse_ras, card.text("device/ras/umc_err_count", 512) or "")
    return {
        "memory_total_bytes": total,
        "memory_used_bytes": card.number("device/mem_info_vram_used"),
        "utilization_ratio": _ratio(card.number("device/gpu_busy_percent")),
        "memory_bus_ratio": _ratio(card.number("device/mem_busy_percent")),
        "temperature_celsius": _celsius(
            card.labelled("temp", "edge", "junction") or card.sensor("temp1_input")
        ),
        "memory_temperature_celsius": _celsius(card.labelled("temp", "mem")),
        "power_watts": _watts(card.sensor("power1_average", "power1_input")),
        "power_limit_watts": _watts(card.sensor("power1_cap")),
        "clock_graphics_hertz": card.labelled("freq", "sclk") or _level(card, "pp_dpm_sclk"),
        "clock_memory_hertz": card.labelled("freq", "mclk") or _level(card, "pp_dpm_mclk"),
        "ecc_enabled": None if errors is None else True,
        "ecc": None
        if errors is None
        else {"uncorrected_volatile": errors[0], "corrected_volatile": errors[1]},
        "pcie": _pcie(card),
    }


def read_intel(card: Card) -> dict[str, Any]:
    """Give what i915 or xe writes about a card; neither tells how busy it is."""
    tile = "device/tile0"
    total = card.number("lmem_total_bytes", f"{tile}/physical_vram_size_bytes")
    if card.is_asleep():
        return {"memory_total_bytes": total}
    free = card.number("lmem_avail_bytes")
    clock = card.number(
        "gt_act_freq_mhz", "gt/gt0/rps_act_freq_mhz", f"{tile}/gt0/freq0/act_freq",
        "gt_cur_freq_mhz", f"{tile}/gt0/freq0/cur_freq",
    )  # fmt: skip
    energy = card.sensor("energy1_input")
    # The link that a card of Intel names is the one to the switch on its own board.
    return {
        "memory_total_bytes": total,
        "memory_used_bytes": None if total is None or free is None else max(0, total - free),
        "temperature_celsius": _celsius(
            card.labelled("temp", "pkg") or card.sensor("temp1_input", "temp2_input")
        ),
        "memory_temperature_celsius": _celsius(card.labelled("temp", "vram")),
        "power_watts": _watts(card.sensor("power1_average", "power1_input")),
        "power_limit_watts": _watts(card.sensor("power1_max", "power1_cap")),
        "energy_joules": None if energy is None else energy / 1e6,
        "clock_graphics_hertz": None if clock is None else clock * 1_000_000,
    }


READERS: Final[dict[str, Callable[[Card], dict[str, Any]]]] = {
    "amd": read_amd,
    "intel": read_intel,
}
"""What reads a card, by its vendor."""


def parse_ras(text: str) -> tuple[int, int]:
    """Give the errors that could not, and that could, be corrected; raises ValueError."""
    words = text.split()
    return int(words[words.index("ue:") + 1]), int(words[words.index("ce:") + 1])


def parse_level(text: str) -> int:
    """Give the frequency in hertz of the level marked ``*``; raises ValueError if none is."""
    for line in text.splitlines():
        words = line.split()
        if words[-1:] == ["*"] and words[1].lower().endswith("mhz"):
            return int(words[1][:-3]) * 1_000_000
    raise ValueError("no level is marked")


def _level(card: Card, name: str) -> int | None:
    text = known(read_text, f"{card.folder}/device/{name}", SMALL_FILE)
    return None if text is None else known(parse_level, text)


def _pcie(card: Card) -> dict[str, int | None] | None:
    own = f"{card.folder}/device"
    # Cards with a switch on board are linked to it at full speed always; the slot's link is that
    # of the switch, which has the vendor of the card and no root port has.
    port = os.path.realpath(own)
    above = os.path.dirname(port)  # noqa: PTH120 - pathlib is 1 MiB
    while _word(f"{above}/vendor") == "0x1002" and _word(f"{above}/class").startswith(BRIDGE):
        port, above = above, os.path.dirname(above)  # noqa: PTH120 - pathlib is 1 MiB
    link = {
        "generation": _GENERATIONS.get(_word(f"{port}/current_link_speed")),
        "generation_max": _GENERATIONS.get(_word(f"{port}/max_link_speed")),
        "width": read_number(f"{port}/current_link_width"),
        "width_max": read_number(f"{port}/max_link_width"),
        "replays": read_number(f"{own}/pcie_replay_count"),
    }
    return None if all(value is None for value in link.values()) else link


def _word(path: str) -> str:
    return (known(read_text, path, SMALL_FILE) or "").partition(" ")[0].strip()


def _listed(folder: str) -> list[str]:
    return known(os.listdir, folder) or []


def _ratio(percent: int | None) -> float | None:
    return percent / 100 if percent is not None and percent <= 100 else None  # noqa: PLR2004 - percent


def _celsius(millidegrees: int | None) -> int | None:
    return None if millidegrees is None else round(millidegrees / 1000)


def _watts(microwatts: int | None) -> float | None:
    return None if microwatts is None else microwatts / 1e6

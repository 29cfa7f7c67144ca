"""GPUs of AMD and Intel, by what their kernel drivers write below ``/sys/class/drm``.

NVIDIA's are read by NVML. What a driver does not write, or not for this card, is None. Which
processes use a card of Intel cannot be had without a walk over all processes, so that is not said.
"""

from __future__ import annotations

import os
import time

from citadel_k8s.collectors.drmcards import READERS, Card
from citadel_k8s.collectors.kfd import compute_processes
from citadel_k8s.collectors.lines import WHOLE_GPU, absent, clean, failed, reading
from citadel_k8s.collectors.procfs import known, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from citadel_k8s.collectors.lines import Announce, Answer, Skip

CARDS_MAX: Final = 64
"""Cards read: four times what the largest machines hold; slices show up as cards of their own."""

LIST_CARDS: Final = "read /sys/class/drm"
"""The call that lists the cards, in announcements and pairs to skip."""

READ_CARD: Final = "read /sys/class/drm/card*/device"
"""The call that reads one card: a driver that resets its card holds up whoever reads."""

LIST_PROCESSES: Final = "read /sys/class/kfd"
"""The call that lists the processes on AMD's cards."""

_NAMES: Final = {
    "0x1002:0x738c": "AMD Instinct MI100",
    "0x1002:0x7408": "AMD Instinct MI250X",
    "0x1002:0x740c": "AMD Instinct MI250X / MI250",
    "0x1002:0x740f": "AMD Instinct MI210",
    "0x1002:0x74a0": "AMD Instinct MI300A",
    "0x1002:0x74a1": "AMD Instinct MI300X",
    "0x1002:0x74a2": "AMD Instinct MI308X",
    "0x1002:0x74a5": "AMD Instinct MI325X",
    "0x1002:0x75a0": "AMD Instinct MI350X",
    "0x1002:0x75a3": "AMD Instinct MI355X",
    "0x8086:0x0bd5": "Intel Data Center GPU Max 1550",
    "0x8086:0x0bda": "Intel Data Center GPU Max 1100",
    "0x8086:0x56c0": "Intel Data Center GPU Flex 170",
    "0x8086:0x56c1": "Intel Data Center GPU Flex 140",
    "0x8086:0xe20b": "Intel Arc B580",
}
"""Names of cards for servers by vendor and device; most cards do not write theirs."""

_VENDORS: Final = {"0x1002": "amd", "0x8086": "intel"}
_SHORT: Final = {"amd": "AMD", "intel": "Intel"}


class DrmSource:
    """Reads all GPUs of AMD and Intel.

    Parameters
    ----------
    root : str
        Where the host's ``/`` is seen from here.
    now : callable
        Gives seconds since some moment; never goes back.
    """

    def __init__(self, root: str, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._energies: dict[str, tuple[float, float]] = {}
        self._root = root.rstrip("/")
        self._drm = f"{self._root}/sys/class/drm"

    def collect(self, announce: Announce, skip: Skip, args: dict[str, Any]) -> Answer:  # noqa: ARG002 - for other sources
        """Read the cards, in the order of their places on the bus."""
        if (why := skip.get((None, LIST_CARDS))) is not None:
            return failed("Unresponsive", why)
        announce(None, LIST_CARDS)
        try:
            names = os.listdir(self._drm)  # noqa: PTH208 - pathlib is 1 MiB
        except FileNotFoundError:
            return absent("NoDrmGpus", f"there is no {self._drm}")
        except OSError as error:
            return failed("DrmUnreadable", f"{self._drm}: {error.strerror}")
        # Connectors are named card0-DP-1, render nodes renderD128.
        numbers = sorted(int(n[4:]) for n in names if n.startswith("card") and n[4:].isdecimal())
        cards = [card for n in numbers[:CARDS_MAX] if (card := self._card(n)) is not None]
        if not cards:
            return absent("NoDrmGpus", "no graphics card of AMD or Intel with memory of its own")
        cards.sort(key=lambda card: card.slot)
        slots = {card.slot for card in cards}
        gpus = [self._gpu(i, card, announce, skip) for i, card in enumerate(cards)]
        self._add_processes(gpus, announce, skip)
        self._energies = {slot: kept for slot, kept in self._energies.items() if slot in slots}
        drivers = sorted({self._driver(card.driver) for card in cards if card.driver})
        return reading({"driver": ", ".join(drivers) or None, "cuda": None, "gpus": gpus})

    def _card(self, number: int) -> Card | None:
        folder = f"{self._drm}/card{number}"
        vendor = _VENDORS.get((known(read_text, f"{folder}/device/vendor", 64) or "").strip())
        if vendor is None:
            return None
        card = Card(folder, vendor)
        return card if card.is_discrete() else None

    def _gpu(self, index: int, card: Card, announce: Announce, skip: Skip) -> dict[str, Any]:
        gpu: dict[str, Any] = {
            "index": index,
            "uuid": card.uuid(),
            "name": self._name(card),
            "vendor": card.vendor,
            "pci_bus_id": card.slot or None,
        }
        for call in (WHOLE_GPU, READ_CARD):
            if (why := skip.get((index, call))) is not None:
                return gpu | {"health": "failed", "reason": "Unresponsive", "message": why}
        announce(index, READ_CARD)
        values = READERS[card.vendor](card)
        if values.get("power_watts") is None and values.get("energy_joules") is not None:
            values["power_watts"] = self._power(card.slot, values["energy_joules"])
        if all(value is None for value in values.values()):
            message = f"nothing below {card.folder}/device can be read"
            return gpu | values | {"health": "unknown", "reason": "Unreadable", "message": message}
        return gpu | values | {"health": "ok", "reason": None, "message": None}

    def _power(self, slot: str, energy: float) -> float | None:
        # Drivers of Intel count energy only.
        when = self._now()
        before, since = self._energies.get(slot, (energy, when))
        self._energies[slot] = (energy, when)
        return (energy - before) / (when - since) if when > since and energy >= before else None

    def _add_processes(self, gpus: list[dict[str, Any]], announce: Announce, skip: Skip) -> None:
        if (None, LIST_PROCESSES) in skip or all(gpu["vendor"] != "amd" for gpu in gpus):
            return
        announce(None, LIST_PROCESSES)
        processes = compute_processes(self._root)
        for gpu in gpus:
            place = (gpu["pci_bus_id"] or "").partition(".")[0]
            if gpu["vendor"] == "amd" and place in processes:
                gpu["processes"] = processes[place]

    def _name(self, card: Card) -> str:
        device = card.text("device/device") or "of an unknown model"
        vendor = (card.text("device/vendor") or "").strip()
        own = card.text("device/product_name")
        return own or _NAMES.get(f"{vendor}:{device}") or f"{_SHORT[card.vendor]} GPU {device}"

    def _driver(self, name: str) -> str:
        # Only drivers built apart from the kernel have a version of their own.
        version = clean(known(read_text, f"{self._root}/sys/module/{name}/version", 64) or "", 48)
        return f"{name} {version}".strip()

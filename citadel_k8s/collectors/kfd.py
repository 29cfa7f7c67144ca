"""The compute processes on AMD's GPUs, as the kernel's driver for them (KFD) counts them.

Its numbers of processes are the host's, whatever namespace reads them. Programs that only draw,
or decode video, do not go through it.
"""

from __future__ import annotations

import os

from citadel_k8s.collectors.procfs import known, read_number, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

PROCESSES_MAX: Final = 256
"""Processes looked at; each has a file per GPU."""

NODES_MAX: Final = 128
"""Nodes of the topology looked at: eight GPUs in eight slices each, and the CPUs."""

SMALL_FILE: Final = 4096
"""Most that is read of one file, in bytes: a page, which is all that sysfs gives."""


def compute_processes(root: str) -> dict[str, list[dict[str, Any]]]:
    """Give the processes with memory on each GPU, by the GPU's place on the bus.

    Parameters
    ----------
    root : str
        Where the host's ``/`` is seen from here, without a slash at its end.

    Returns
    -------
    dict
        By domain, bus and device, such as ``0000:03:00``, without the function: all slices of one
        card together. A card that is not in it is one of which nobody can say.
    """
    kfd = f"{root}/sys/class/kfd/kfd"
    numbers = known(os.listdir, f"{kfd}/proc")
    if numbers is None:
        return {}
    places = _places(f"{kfd}/topology/nodes")
    found: dict[str, list[dict[str, Any]]] = {place: [] for place in places.values()}
    for number in sorted(numbers)[:PROCESSES_MAX]:
        if number.isdecimal():
            for place, used in _memory(f"{kfd}/proc/{number}", places).items():
                found[place].append(
                    {"pid": int(number), "kind": "compute", "memory_used_bytes": used}
                )
    return found


def _places(nodes: str) -> dict[int, str]:
    places: dict[int, str] = {}
    for name in sorted(known(os.listdir, nodes) or [])[:NODES_MAX]:
        gpu = read_number(f"{nodes}/{name}/gpu_id")
        place = known(_place, f"{nodes}/{name}/properties")
        if gpu and place is not None:  # the CPUs are nodes too, with the number 0
            places[gpu] = place
    return places


def _place(path: str) -> str:
    words = read_text(path, SMALL_FILE).split()
    facts = dict(zip(words[::2], words[1::2], strict=False))
    location = int(facts["location_id"])
    return (
        f"{int(facts.get('domain', '0')):04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 31:02x}"
    )


def _memory(folder: str, places: dict[int, str]) -> dict[str, int]:
    # Each process that uses one GPU has opened them all; those without memory on it do not count.
    by_place: dict[str, int] = {}
    for gpu, place in places.items():
        used = read_number(f"{folder}/vram_{gpu}")
        if used:
            by_place[place] = by_place.get(place, 0) + used
    return by_place

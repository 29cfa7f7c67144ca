"""The GPUs that can be pretended, with what their makers say of them."""

import re
from dataclasses import dataclass
from typing import Final

from citadel_k8s.errors import ConfigError

FAKE_GPUS_MAX: Final = 16
"""Most GPUs of one pretended node: the largest node on sale."""


@dataclass(frozen=True, slots=True)
class GpuKind:
    """A GPU on the market, its name as NVML gives it.

    Memory in MiB, power limit in watts, the highest clocks of chip and memory in MHz, the
    generation of its PCIe link of 16 lanes. ``ecc``: counts memory errors out of the box, and
    puts bad memory out of use; ``hot``: tells its memory's temperature; ``mig``: can be sliced;
    ``links``: NVLinks to the others of its board.
    """

    name: str
    memory_mib: int
    power_watts: int
    clock_mhz: int
    memory_clock_mhz: int
    pcie: int = 4
    links: int = 0
    ecc: bool = True
    hot: bool = False
    mig: bool = False


def _board(  # noqa: PLR0917 - a data sheet's columns
    name: str, memory: int, power: int, clock: int, memory_clock: int, pcie: int, links: int
) -> GpuKind:
    """Give a GPU of a board with NVLink and stacked memory."""
    return GpuKind(name, memory, power, clock, memory_clock, pcie, links, hot=True, mig=True)


def _card(  # noqa: PLR0917 - a data sheet's columns
    name: str, memory: int, power: int, clock: int, memory_clock: int, pcie: int = 4
) -> GpuKind:
    """Give a card for players, whose memory counts no errors."""
    return GpuKind(name, memory, power, clock, memory_clock, pcie, ecc=False)


KINDS: Final = {
    "a10": GpuKind("NVIDIA A10", 23028, 150, 1695, 6251),
    "a100": _board("NVIDIA A100-SXM4-80GB", 81920, 400, 1410, 1593, 4, 12),
    "a100-40g": _board("NVIDIA A100-SXM4-40GB", 40960, 400, 1410, 1215, 4, 12),
    "b200": _board("NVIDIA B200", 183359, 1000, 1965, 3996, 5, 18),
    "gh200": _board("NVIDIA GH200 480GB", 97871, 900, 1980, 2619, 5, 18),
    "h100": _board("NVIDIA H100 80GB HBM3", 81559, 700, 1980, 2619, 5, 18),
    "h200": _board("NVIDIA H200", 143771, 700, 1980, 3201, 5, 18),
    "l4": GpuKind("NVIDIA L4", 23034, 72, 2040, 6251),
    "l40s": GpuKind("NVIDIA L40S", 46068, 350, 2520, 9001),
    "rtx3090": _card("NVIDIA GeForce RTX 3090", 24576, 350, 2100, 9751),
    "rtx4090": _card("NVIDIA GeForce RTX 4090", 24564, 450, 3105, 10501),
    "rtx5090": _card("NVIDIA GeForce RTX 5090", 32607, 575, 3090, 14001, 5),
    "t4": GpuKind("Tesla T4", 15360, 70, 1590, 5001, 3),
    "v100": GpuKind("Tesla V100-SXM2-32GB", 32768, 300, 1530, 877, 3, 6, hot=True),
}
"""The GPUs that can be pretended."""


def parse_fake_gpu(text: str) -> tuple[GpuKind, int]:
    """Give kind and count of a text such as ``h100x8``, or ``h100x8!`` (see `is_worn`).

    Raises
    ------
    ConfigError
        If the kind is not known or the count not in 1 to ``FAKE_GPUS_MAX``.
    """
    match = re.fullmatch(r"(?P<kind>[a-z0-9-]+)x(?P<count>[0-9]{1,2})!?", text.strip().lower())
    kind = KINDS.get(match["kind"]) if match else None
    if match is None or kind is None or not 1 <= int(match["count"]) <= FAKE_GPUS_MAX:
        raise ConfigError(
            f"fake GPU {text!r}: KINDxCOUNT is needed, such as h100x8; "
            f"kinds: {', '.join(KINDS)}; count: 1 to {FAKE_GPUS_MAX}"
        )
    return kind, int(match["count"])


def is_worn(text: str) -> bool:
    """Say whether the last GPU is pretended to have memory that cannot be mended any more.

    Only of kinds that put bad memory out of use: the others would not know.
    """
    return text.strip().endswith("!")

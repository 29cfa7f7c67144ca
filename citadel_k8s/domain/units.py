"""From the program's units to the wire's: bytes to GiB and MiB, ratios to percent."""

from typing import Final

from citadel_k8s.constants import NAME_MAX
from citadel_k8s.domain.facts import clip

_GIB: Final = 1024**3
_MIB: Final = 1024**2
_MHZ: Final = 1_000_000

TEXT_MAX: Final = 300
"""Characters kept of a sentence that is told: what is longer is a log."""

MODEL_MAX: Final = 200
"""Characters kept of a model's name: some are the path of a file."""


def percent(ratio: float | None) -> float | None:
    """Give 0-100 of 0-1, to a tenth."""
    return None if ratio is None else round(ratio * 100, 1)


def share(part: int | None, whole: int | None) -> float | None:
    """Give the part in percent of the whole, to a tenth."""
    return round(part / whole * 100, 1) if part is not None and whole else None


def gib(size: int | None) -> float | None:
    """Give bytes in GiB, to a hundredth."""
    return None if size is None else round(size / _GIB, 2)


def mib(size: int | None) -> int | None:
    """Give bytes in whole MiB, rounded down as nvidia-smi does."""
    return None if size is None else size // _MIB


def mhz(frequency: int | None) -> int | None:
    """Give hertz in whole MHz."""
    return None if frequency is None else round(frequency / _MHZ)


def tenth(value: float | None) -> float | None:
    """Give a value to a tenth."""
    return None if value is None else round(value, 1)


def milliseconds(seconds: float | None) -> float | None:
    """Give seconds in milliseconds, to a tenth."""
    return None if seconds is None else round(seconds * 1000, 1)


def whole(value: float | None) -> int | None:
    """Give a value without its fraction."""
    return None if value is None else int(value)


def name(text: str | None) -> str | None:
    """Give a name, clipped; None for none and for an empty one."""
    return clip(text, NAME_MAX) if text else None


def sentence(text: str | None) -> str | None:
    """Give a sentence, clipped; None for none and for an empty one."""
    return clip(text, TEXT_MAX) if text else None

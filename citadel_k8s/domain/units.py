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


_COUNT_MAX: Final = 2**63 - 1
_FIGURE_MAX: Final = 1e300


def figure(value: float | None) -> float | None:
    """Give a value, or None for what is no number: some engines say ``NaN``."""
    return value if value is not None and -_FIGURE_MAX <= value <= _FIGURE_MAX else None


def count(value: float | None) -> int | None:
    """Give a whole number that 64 bits hold, or None."""
    if value is None or not -_COUNT_MAX <= value <= _COUNT_MAX:
        return None
    return int(value)


def plain(value: float | None) -> float | None:
    """Give a value, without a fraction if it has none: ``12`` and not ``12.0``."""
    known = figure(value)
    whole = count(known)
    return whole if whole == known else known


def percent(ratio: float | None) -> float | None:
    """Give 0-100 of 0-1, to a tenth."""
    return _rounded(ratio, 100, 1)


def share(part: int | None, whole: int | None) -> float | None:
    """Give the part in percent of the whole, to a tenth."""
    known, most = figure(part), figure(whole)
    return _rounded(known / most, 100, 1) if known is not None and most else None


def gib(size: int | None) -> float | None:
    """Give bytes in GiB, to a hundredth."""
    return _rounded(size, 1 / _GIB, 2)


def mib(size: int | None) -> int | None:
    """Give bytes in whole MiB, rounded down as nvidia-smi does."""
    known = figure(size)
    return None if known is None else count(known // _MIB)


def mhz(frequency: int | None) -> int | None:
    """Give hertz in whole MHz."""
    known = figure(frequency)
    return None if known is None else count(round(known / _MHZ))


def tenth(value: float | None) -> float | None:
    """Give a value to a tenth."""
    return _rounded(value, 1, 1)


def thousandth(value: float | None) -> float | None:
    """Give a value to a thousandth."""
    return _rounded(value, 1, 3)


def milliseconds(seconds: float | None) -> float | None:
    """Give seconds in milliseconds, to a tenth."""
    return _rounded(seconds, 1000, 1)


def _rounded(value: float | None, factor: float, digits: int) -> float | None:
    known = figure(value)
    return None if known is None else figure(round(known * factor, digits))


def name(text: str | None) -> str | None:
    """Give a name, clipped; None for none and for an empty one."""
    return clip(text, NAME_MAX) if text else None


def sentence(text: str | None) -> str | None:
    """Give a sentence, clipped; None for none and for an empty one."""
    return clip(text, TEXT_MAX) if text else None

"""Everything that can be wrong with a GPU, as a table: how grave, why, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from citadel_k8s.domain.xids import MEMORY, POWER, REPLACE, RESET, XidRule
from citadel_k8s.models.readings import Gpu, Verdict

_COOLING: Final = "Check fans, airflow and the inlet temperature of the node."
_SEAT: Final = "Check the seat of the GPU and its riser, and the slot's settings in the firmware."
_GRAVITY: Final = {"failed": 0, "degraded": 1, "none": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and what it makes of a healthy GPU: ``none``, ``degraded`` or ``failed``."""

    verdict: Verdict
    marks: str

    @property
    def rank(self) -> tuple[int, bool, str]:
        """Order of gravity: what marks the GPU most comes first, fatal before the rest."""
        return (_GRAVITY[self.marks], self.verdict.severity != "fatal", self.verdict.reason)


# reason: severity, cause, marks, remedy, message
RULES: Final[Mapping[str, tuple[str, str, str, str, str]]] = {
    "GpuLost": ("fatal", "hardware", "failed", REPLACE, "the GPU no longer answers on the bus"),
    "GpuMissing": ("fatal", "hardware", "failed", REPLACE, "the driver no longer lists this GPU"),
    "ResetRequired": ("fatal", "driver", "failed", RESET, "the driver asks for a reset"),
    "Unresponsive": (
        "fatal", "driver", "failed",
        "Look for a hung driver in the kernel's log; restart the node if it stays.",
        "the driver gives no answer about this GPU",
    ),
    "EccErrors": ("warning", "hardware", "degraded", MEMORY, "uncorrected memory errors"),
    "EccErrorsGrowing": ("fatal", "hardware", "failed", MEMORY, "memory errors are rising"),
    "RowRemapPending": (
        "warning", "hardware", "degraded",
        "Drain and reset the GPU, so that the bad row is taken out of use.",
        "a bad memory row waits for a reset to be remapped",
    ),
    "RowRemapFailed": ("fatal", "hardware", "failed", REPLACE, "no spare memory row is left"),
    "HwThermalSlowdown": (
        "warning", "thermal", "degraded", _COOLING, "the hardware slows the GPU down: too hot",
    ),
    "HwPowerBrake": (
        "warning", "power", "degraded", POWER, "the power supply makes the GPU slow down",
    ),
    "HwSlowdown": (
        "warning", "unknown", "degraded",
        "Check power supply and cooling of the node.",
        "the hardware slows the GPU down",
    ),
    "SwThermalSlowdown": (
        "info", "thermal", "none", _COOLING, "the driver lowers the clocks to keep it cool",
    ),
    "TemperatureHigh": ("warning", "thermal", "degraded", _COOLING, "the chip is too hot"),
    "MemoryTemperatureHigh": (
        "warning", "thermal", "degraded", _COOLING, "the memory is too hot",
    ),
    "PcieWidth": ("warning", "hardware", "degraded", _SEAT, "fewer PCIe lanes than possible"),
    "PcieGeneration": (
        "warning", "hardware", "degraded", _SEAT, "a slower PCIe generation than possible",
    ),
    "PcieReplays": (
        "warning", "hardware", "degraded", _SEAT, "many replays on the PCIe link",
    ),
    "NvLinkDown": (
        "warning", "hardware", "degraded",
        "Check the NVLink counters, the other end and the fabric manager; reset the GPU.",
        "fewer NVLinks are up than before",
    ),
}  # fmt: skip
"""What each reason means. Power caps set by software and idle clocks are no faults."""


def of(reason: str, message: str | None = None) -> Finding:
    """Give the finding of a reason of the table."""
    severity, cause, marks, remedy, usual = RULES[reason]
    return Finding(Verdict(reason, severity, cause, remedy, message or usual), marks)


def of_reading(gpu: Gpu) -> Finding:
    """Give the finding of a GPU that could not be read."""
    reason = gpu.reason or "GpuFailed"
    if reason in RULES:
        return of(reason, gpu.message)
    verdict = Verdict(reason, "fatal", "unknown", RESET, gpu.message or "the GPU failed")
    return Finding(verdict, "failed")


def of_xid(rule: XidRule, count: int) -> Finding:
    """Give the finding of an error that the driver numbers."""
    times = "" if count == 1 else f", {count} times"
    message = f"XID {rule.xid}: {rule.name}{times}"
    verdict = Verdict(f"Xid{rule.xid}", rule.severity, rule.cause, rule.remedy, message)
    return Finding(verdict, rule.marks)

"""What the errors mean that NVIDIA's driver numbers ("XIDs"), and what to do about each.

Numbers and recovery actions follow NVIDIA's catalogue of XIDs; the words are ours. An error that
an application causes kills the application and says nothing of the GPU: it never marks one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class XidRule:
    """What an error of this number means.

    ``severity`` and ``cause`` are those of a `Verdict`. ``marks``: ``none``, ``degraded`` or
    ``failed``, what it makes of a healthy GPU. ``clears``: it is over by itself, unless it is
    repeated; else it weighs until the GPU is reset.
    """

    xid: int
    name: str
    severity: str
    cause: str
    marks: str
    clears: bool
    remedy: str


RESTART: Final = "Restart the application; tell the hardware vendor if it comes again and again."
DEBUG: Final = "Run the application under compute-sanitizer or cuda-gdb; the GPU itself is well."
RESET: Final = "Drain the node and reset the GPU; if it comes back, have the hardware looked at."
REPLACE: Final = "Drain the node, reset the GPU or power-cycle the node; if it stays, replace it."
NOTHING: Final = "Nothing; watch whether it becomes frequent."
LINK: Final = "Check the NVLink counters, the other end and the fabric manager; reset the GPU."
DRIVER: Final = "Update driver and firmware; tell NVIDIA if it comes again and again."
MEMORY: Final = "Drain and reset the GPU; if row remapping fails or errors go on, replace it."
POWER: Final = "Check the power supply and its cables, and the thermal events of the node."
LOOK_UP: Final = "Look the number up in NVIDIA's catalogue of XIDs; this agent does not know it."

_COPY_ENGINES: Final = {39: 0, 40: 1, 41: 2, 70: 3, 71: 4, 72: 5, 75: 6, 76: 7, 77: 8, 85: 9} | {
    116 + engine: engine for engine in range(10, 20)
}
_VIDEO: Final = (
    {65: "NVENC1", 73: "NVENC2", 142: "NVENC3", 68: "NVDEC0", 83: "NVDEC1", 84: "NVDEC2"}
    | {88: "NVDEC3", 89: "NVDEC4", 96: "NVDEC5", 97: "NVDEC6", 98: "NVDEC7", 82: "NVJPG0"}
    | {98 + engine: f"NVJPG{engine}" for engine in range(1, 8)}
    | {86: "OFA0", 139: "OFA1", 47: "NVENC0", 60: "SEC2"}
)
_LINK_PARTS: Final = {
    144: "SAW", 145: "RLW", 146: "TLW", 147: "TREX", 148: "NVLPW", 149: "NETIR", 150: "MSE",
}  # fmt: skip

# number, name, severity, remedy
_BY_APPLICATION: Final = (
    (8, "Channel idle timeout", "warning", RESTART),
    (11, "Invalid push buffer", "warning", DEBUG),
    (13, "Graphics engine exception", "warning", DEBUG),
    (14, "Injected test error", "info", NOTHING),
    (25, "Illegal push buffer", "warning", DEBUG),
    (31, "Memory page fault", "warning", DEBUG),
    (43, "Channel stopped after an application fault", "warning", DEBUG),
    (45, "Channel removed after an earlier error or kill", "info", NOTHING),
    (69, "Graphics class error", "warning", DEBUG),
    (137, "Illegal access over NVLink", "warning", DEBUG),
)

# number, name, severity, cause, marks, clears, remedy
_OTHERS: Final = (
    (32, "Push buffer damaged on the bus", "warning", "hardware", "degraded", True, RESET),
    (37, "Unknown firmware method", "info", "driver", "none", True, NOTHING),
    (38, "Firmware watchdog timeout", "warning", "driver", "degraded", True, DRIVER),
    (44, "Fault during context switch", "warning", "driver", "none", True, DRIVER),
    (46, "GPU stopped processing", "fatal", "hardware", "failed", False, RESET),
    (48, "Double-bit memory error", "fatal", "hardware", "degraded", False, MEMORY),
    (54, "Auxiliary power is missing", "warning", "power", "degraded", False, POWER),
    (56, "Display engine error", "info", "driver", "none", True, NOTHING),
    (57, "Memory link training failed", "fatal", "hardware", "failed", False, REPLACE),
    (58, "Memory error at start", "warning", "hardware", "degraded", False, MEMORY),
    (59, "Micro-controller error", "warning", "driver", "degraded", True, DRIVER),
    (61, "Micro-controller breakpoint", "warning", "driver", "degraded", True, RESET),
    (62, "Micro-controller halted", "fatal", "hardware", "failed", False, RESET),
    (63, "Memory row remapped", "info", "hardware", "none", True,
     "Reset the GPU at the next opportunity, so that the remapping takes effect."),
    (64, "Memory row could not be remapped", "fatal", "hardware", "failed", False, REPLACE),
    (66, "Illegal register access by the driver", "info", "driver", "none", True, DRIVER),
    (67, "Verification failed in the driver", "info", "driver", "none", True, DRIVER),
    (74, "NVLink error", "warning", "hardware", "degraded", False, LINK),
    (78, "vGPU did not start", "warning", "driver", "none", True, DRIVER),
    (79, "GPU fell off the bus", "fatal", "hardware", "failed", False,
     "Drain the node and power-cycle it; if it comes back, reseat or replace the GPU."),
    (80, "Data damaged on the way to the GPU", "warning", "hardware", "degraded", True, RESET),
    (81, "VGA subsystem error", "info", "driver", "none", True, NOTHING),
    (90, "L2 cache error", "warning", "hardware", "degraded", False, RESET),
    (92, "Many single-bit memory errors", "warning", "hardware", "degraded", True, MEMORY),
    (93, "InfoROM wear limit", "info", "hardware", "none", True, NOTHING),
    (94, "Contained memory error", "warning", "hardware", "none", True,
     "Restart the one application that it hit; reset the GPU when convenient."),
    (95, "Uncontained memory error", "fatal", "hardware", "failed", False, MEMORY),
    (106, "Management bus test message", "info", "driver", "none", True, NOTHING),
    (107, "Management bus test message, silent", "info", "driver", "none", True, NOTHING),
    (108, "Remote translation error", "info", "driver", "none", True, NOTHING),
    (109, "Context switch timeout", "warning", "driver", "degraded", True, RESET),
    (110, "Security fault", "fatal", "hardware", "failed", False, REPLACE),
    (119, "GPU system processor timed out", "fatal", "driver", "failed", False, RESET),
    (120, "GPU system processor error", "fatal", "driver", "failed", False, RESET),
    (121, "Corrected error on the link to the CPU", "info", "hardware", "none", True,
     "Reset the GPU at the next service window, so that the link is trained anew."),
    (122, "InfoROM read failed", "warning", "hardware", "none", True, RESTART),
    (123, "InfoROM write failed", "warning", "hardware", "none", True, RESTART),
    (124, "InfoROM erase failed", "warning", "hardware", "none", True, RESTART),
    (125, "InfoROM file system error", "warning", "hardware", "none", True, RESTART),
    (136, "NVLink training failed", "warning", "hardware", "degraded", False, LINK),
    (140, "Unrecovered memory error", "fatal", "hardware", "failed", False, MEMORY),
    (141, "Fast path error", "info", "driver", "none", True, NOTHING),
    (143, "GPU did not initialize", "fatal", "hardware", "failed", False, REPLACE),
    (151, "Key rotation error", "warning", "driver", "degraded", True,
     "Restart the confidential virtual machine."),
    (152, "DLA memory error", "info", "driver", "none", True, NOTHING),
    (153, "DLA timeout", "info", "driver", "none", True, NOTHING),
    (154, "Recovery action changed", "info", "unknown", "none", True,
     "Do what the other XIDs of this GPU ask for; this one only sums them up."),
    (155, "NVLink taken down by software", "warning", "driver", "degraded", True, LINK),
    (156, "Part of the GPU retired", "warning", "hardware", "degraded", False, RESET),
    (157, "Part of the GPU could not be retired", "warning", "hardware", "degraded", False,
     REPLACE),
    (158, "GPU timed out for good", "fatal", "hardware", "failed", False, RESET),
    (159, "Error on the coherent link", "warning", "hardware", "degraded", True, RESET),
    (160, "Memory channel retired", "info", "hardware", "none", True, NOTHING),
    (161, "Memory channel could not be retired", "warning", "hardware", "degraded", False,
     REPLACE),
    (162, "Power smoothing on again", "info", "power", "none", True, NOTHING),
    (163, "Power smoothing off", "info", "power", "none", True, POWER),
    (164, "Power smoothing near its end of life", "warning", "power", "none", True, POWER),
    (165, "Power smoothing worn out", "warning", "power", "degraded", False,
     "Replace the GPU where the power supply cannot take its swings."),
    (166, "Unencrypted traffic on a secured NVLink", "warning", "driver", "none", True, DRIVER),
    (167, "PCIe timed out for good", "fatal", "hardware", "failed", False, REPLACE),
    (168, "Less memory than built in", "warning", "hardware", "degraded", False,
     "Enable ECC, so that bad rows are remapped, and restart the node."),
    (169, "Security processor halted", "fatal", "hardware", "failed", False, RESET),
    (170, "Interrupt on a secured NVLink", "info", "driver", "none", True, DRIVER),
    (171, "Uncorrectable memory error", "warning", "hardware", "degraded", False, MEMORY),
    (172, "Uncorrectable cache error", "warning", "hardware", "degraded", False, MEMORY),
)  # fmt: skip


def _rules() -> Iterator[XidRule]:
    for xid, name, severity, remedy in _BY_APPLICATION:
        yield XidRule(xid, name, severity, "application", "none", clears=True, remedy=remedy)
    for xid, engine in _VIDEO.items():
        cause = "application" if xid == 68 else "unknown"  # noqa: PLR2004 - NVIDIA's own reading
        yield XidRule(xid, f"{engine} error", "warning", cause, "none", True, RESTART)  # noqa: FBT003
    for xid, number in _COPY_ENGINES.items():
        name = f"Copy engine {number} error"
        yield XidRule(xid, name, "warning", "hardware", "degraded", True, RESTART)  # noqa: FBT003
    for xid, part in _LINK_PARTS.items():
        name = f"NVLink {part} error"
        yield XidRule(xid, name, "warning", "hardware", "degraded", True, LINK)  # noqa: FBT003
    for row in _OTHERS:
        yield XidRule(*row)


RULES: Final[Mapping[int, XidRule]] = {r.xid: r for r in sorted(_rules(), key=lambda r: r.xid)}
"""The rule of each number that is known, by number."""


def rule_of(xid: int) -> XidRule:
    """Give the rule of a number; what nobody knows is worth a look and marks no GPU."""
    known = RULES.get(xid)
    if known is not None:
        return known
    return XidRule(xid, "Unknown", "warning", "unknown", "none", clears=True, remedy=LOOK_UP)

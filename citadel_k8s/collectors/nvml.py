"""NVIDIA GPUs by NVML. One lost or hung GPU does not hide the others."""

from __future__ import annotations

from citadel_k8s.collectors.lines import failed, reading
from citadel_k8s.collectors.nvml_driver import ACCESS_LOST, NEEDED, Driver, answer_for, answer_of
from citadel_k8s.collectors.nvml_events import Events
from citadel_k8s.collectors.nvml_gpu import IDENTITY, GpuReader
from citadel_k8s.collectors.nvml_library import pynvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from citadel_k8s.collectors.lines import Announce, Answer, Skip
    from citadel_k8s.collectors.nvml_events import Tell

GPUS_MAX: Final = 64
"""Most GPUs that a node may have; 16 so far. A count above it is a broken driver's."""

LOST_RESTART: Final = 10
"""Collections after which NVML is started anew while a GPU is lost, five minutes: a GPU that was
put right shows itself only to a library that begins anew."""

_DRIVERS_OWN: Final = frozenset({"DriverMismatch", "DriverNotLoaded"})
_GONE: Final = frozenset({"GpuLost", "ResetRequired"})
_REFUSED: Final = frozenset({"NvmlUnknownError", "NoPermission"})


class NvmlSource:
    """Reads all NVIDIA GPUs.

    Parameters
    ----------
    root : str
        Where the host's ``/`` is seen from here.
    """

    def __init__(self, root: str) -> None:
        self._driver = Driver(root)
        self._events = Events()
        self._gpus: list[GpuReader] = []
        self._known: list[dict[str, Any]] = []
        self._number = 0
        self._everything = False
        self._started_at = 0

    def watch(self, tell: Tell) -> None:
        """Tell what the driver tells by itself; runs for ever."""
        self._events.watch(tell)

    def collect(self, announce: Announce, skip: Skip, args: dict[str, Any]) -> Answer:
        """Read the GPUs; start NVML first if it is not running.

        Parameters
        ----------
        args : dict
            ``everything``: true where what is seldom read is to be read as well now.
        """
        self._number += 1
        self._everything = bool(args.get("everything"))
        stuck = [why for (gpu, call), why in skip.items() if gpu is None and call in NEEDED]
        if stuck:
            return failed("Unresponsive", stuck[0])
        try:
            return self._collect(announce, skip)
        except pynvml.NVMLError as error:
            self._stop(announce, skip)
            return answer_of(error)

    def _collect(self, announce: Announce, skip: Skip) -> Answer:
        fresh = self._start(announce, skip)
        count = self._count(announce)
        if count != len(self._gpus) and not fresh:
            # The GPUs are other ones, and their numbers may be too.
            self._restart(announce, skip)
            count, fresh = self._count(announce), True
        if fresh:
            if not 0 <= count <= GPUS_MAX:
                self._stop(announce, skip)
                return failed("BadValue", f"the driver counts {count} GPUs")
            self._gpus = [GpuReader(index) for index in range(count)]
        values = self._read(announce, skip, everything=fresh)
        if values and all(gpu["reason"] == "Uninitialized" for gpu in values):
            # Somebody else in this process stopped NVML, or the driver went and came.
            self._restart(announce, skip)
            self._gpus = [GpuReader(index) for index in range(self._count(announce))]
            values = self._read(announce, skip, everything=True)
        reasons = {gpu["reason"] for gpu in values}
        if len(reasons) == 1 and reasons <= _DRIVERS_OWN:
            # The driver went from under a library that runs.
            self._stop(announce, skip)
            return answer_for(reasons.pop(), values[0]["message"])
        self._events.arm(zip(self._gpus, values, strict=True), announce, skip)
        self._judge(values, announce, skip)
        self._name(values)
        return reading({"driver": self._driver.version, "cuda": self._driver.cuda, "gpus": values})

    def _read(self, announce: Announce, skip: Skip, *, everything: bool) -> list[dict[str, Any]]:
        everything |= self._events.happened() or self._everything
        return [gpu.read(self._number, announce, skip, everything=everything) for gpu in self._gpus]

    def _judge(self, values: list[dict[str, Any]], announce: Announce, skip: Skip) -> None:
        """Stop NVML where only a new start can bring back what is missing."""
        if not values:
            return
        silent = [gpu for gpu in values if gpu.get("memory_total_bytes") is None]
        gone = [gpu for gpu in values if gpu["reason"] in _GONE]
        refused = [gpu for gpu in silent if gpu["reason"] in _REFUSED]
        if len(refused) == len(values):
            for gpu in refused:
                gpu["message"] = f"{gpu['message']}: {ACCESS_LOST}"
        waited = self._number - self._started_at >= LOST_RESTART
        if len(refused) == len(values) or len(gone) == len(values) or (gone and waited):
            self._stop(announce, skip)

    def _name(self, values: list[dict[str, Any]]) -> None:
        """Name a GPU that is lost as it was called when it was last read."""
        seen = {gpu["uuid"] for gpu in values}
        if len(self._known) == len(values):
            for gpu, known in zip(values, self._known, strict=True):
                if gpu["uuid"] is None and known["uuid"] not in seen:
                    gpu.update(known)
        self._known = [{key: gpu[key] for key in IDENTITY} for gpu in values]

    def _count(self, announce: Announce) -> int:
        announce(None, "nvmlDeviceGetCount")
        return pynvml.nvmlDeviceGetCount()

    def _start(self, announce: Announce, skip: Skip) -> bool:
        if self._driver.running:
            return False
        self._driver.start(announce, skip)
        self._started_at = self._number
        return True

    def _stop(self, announce: Announce, skip: Skip) -> None:
        self._gpus = []
        if self._events.disarm(announce, skip):
            self._driver.stop(announce, skip)

    def _restart(self, announce: Announce, skip: Skip) -> None:
        self._stop(announce, skip)
        self._start(announce, skip)

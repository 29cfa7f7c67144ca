"""NVML's life: found, started, stopped, and why it does not start."""

from __future__ import annotations

import ctypes
import os

from citadel_k8s.collectors.lines import absent, clean, failed
from citadel_k8s.collectors.nvml_calls import reason_of
from citadel_k8s.collectors.nvml_library import pynvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from citadel_k8s.collectors.lines import Announce, Answer, Skip

DRIVER_ROOTS: Final = (
    "run/nvidia/driver/usr/lib/x86_64-linux-gnu",
    "run/nvidia/driver/usr/lib/aarch64-linux-gnu",
    "run/nvidia/driver/usr/lib64",
    "home/kubernetes/bin/nvidia/lib64",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
)
"""Where the GPU Operator, GKE and distributions keep the driver's libraries, below the host's
root."""

_LIBRARY: Final = "libnvidia-ml.so.1"

_NOTHING_THERE: Final = frozenset({"NvmlLibraryNotFound", "DriverNotLoaded", "VisibleDevicesVoid"})

_CUDA_DIGITS: Final = 1000
"""NVML gives 12.4 as 12040."""

NEEDED: Final = frozenset({"nvmlInit", "nvmlDeviceGetCount"})
"""Calls without which nothing can be read; the others of no GPU may hang and be left out."""

ACCESS_LOST: Final = (
    "this container has most likely lost its access to the GPUs, as after 'systemctl "
    "daemon-reload' on the node: restart the agent's pod"
)
"""What an unknown error of every GPU means in practice: systemd set the device cgroup anew."""

_MESSAGES: Final = {
    "NvmlLibraryNotFound": f"{_LIBRARY} is not on this node, or not visible to the agent",
    "VisibleDevicesVoid": "the container runtime hides all GPUs: NVIDIA_VISIBLE_DEVICES=void",
    "DriverNotLoaded": "the NVIDIA kernel driver is not loaded",
    "DriverMismatch": "the NVIDIA library and kernel driver are of different versions: the driver "
    "was upgraded and waits for a reboot or for its modules to be loaded anew",
    "NoPermission": f"no permission to talk to the NVIDIA driver: {ACCESS_LOST}",
    "NvmlUnknownError": f"the NVIDIA driver answers with an unknown error: {ACCESS_LOST}",
}


class Driver:
    """Starts and stops NVML.

    Parameters
    ----------
    root : str
        Where the host's ``/`` is seen from here; its driver folders are looked into when the
        library is not on the loader's own path.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self.running = False
        self.version: str | None = None
        self.cuda: str | None = None

    def start(self, announce: Announce, skip: Skip) -> None:
        """Start NVML unless it runs.

        Raises
        ------
        NVMLError
            If it does not start.
        """
        if self.running:
            return
        announce(None, "nvmlInit")
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_LIBRARY_NOT_FOUND or not self._preload():
                raise
            pynvml.nvmlInit()
        self.running = True
        self.version = self.cuda = None
        if (None, "nvmlSystemGetDriverVersion") not in skip:
            announce(None, "nvmlSystemGetDriverVersion")
            self.version = _version()
        if (None, "nvmlSystemGetCudaDriverVersion") not in skip:
            announce(None, "nvmlSystemGetCudaDriverVersion")
            self.cuda = _cuda()

    def stop(self, announce: Announce, skip: Skip) -> None:
        """Stop NVML if it runs; the next start finds GPUs and driver anew."""
        if not self.running or (None, "nvmlShutdown") in skip:
            return
        self.running = False
        announce(None, "nvmlShutdown")
        try:
            pynvml.nvmlShutdown()
        except pynvml.NVMLError:
            # It had stopped by itself, or is broken: a new start says which.
            return

    def _preload(self) -> bool:
        # The loader takes a library that is already there for the one asked for by the same name.
        for folder in DRIVER_ROOTS:
            try:
                ctypes.CDLL(f"{self._root.rstrip('/')}/{folder}/{_LIBRARY}")
            except OSError:
                continue
            return True
        return False


def answer_of(error: pynvml.NVMLError) -> Answer:
    """Give the answer of a node whose NVML does not start, or ends."""
    return answer_for(reason_of(error.value), str(error))


def answer_for(reason: str, text: str) -> Answer:
    """Give the answer of a node on which nothing can be read for this reason."""
    if reason == "NvmlLibraryNotFound" and os.environ.get("NVIDIA_VISIBLE_DEVICES") == "void":
        reason = "VisibleDevicesVoid"
    message = _MESSAGES.get(reason, clean(text))
    return absent(reason, message) if reason in _NOTHING_THERE else failed(reason, message)


def _version() -> str | None:
    try:
        return clean(pynvml.nvmlSystemGetDriverVersion(), 64) or None
    except UnicodeDecodeError:
        return None


def _cuda() -> str | None:
    try:
        version = pynvml.nvmlSystemGetCudaDriverVersion()
    except pynvml.NVMLError:
        return None
    if not _CUDA_DIGITS <= version < 1000 * _CUDA_DIGITS:
        return None
    return f"{version // _CUDA_DIGITS}.{version % _CUDA_DIGITS // 10}"

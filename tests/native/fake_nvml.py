"""The fake NVML: compiled once, its state shared with the process that loads it."""

import ctypes
import fcntl
import hashlib
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("fake_nvml.c")
LIBRARY = "libnvidia-ml.so.1"
HANG = 1000
LOST = 15
NOT_SUPPORTED = 3
_TEXT = 96


class FakeGpu(ctypes.Structure):
    """One GPU; the layout of ``struct gpu``."""

    _fields_ = (
        ("name", ctypes.c_char * _TEXT),
        ("uuid", ctypes.c_char * _TEXT),
        ("only", ctypes.c_char * _TEXT),
        ("memory_total", ctypes.c_uint64),
        ("memory_used", ctypes.c_uint64),
        ("memory_reserved", ctypes.c_uint64),
        ("utilization", ctypes.c_uint32),
        ("temperature", ctypes.c_uint32),
        ("power_milliwatts", ctypes.c_uint32),
        ("limit_milliwatts", ctypes.c_uint32),
        ("fault", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


class _State(ctypes.Structure):
    _fields_ = (
        ("driver", ctypes.c_char * _TEXT),
        ("calls", ctypes.c_uint64),
        ("count", ctypes.c_uint32),
        ("init", ctypes.c_uint32),
        ("latency_microseconds", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("gpus", FakeGpu * 16),
    )


class FakeNvml:
    """A driver with GPUs that a test can break while an agent reads them.

    Parameters
    ----------
    folder : Path
        For the state file.
    count : int
        Number of GPUs.
    """

    def __init__(self, folder: Path, count: int = 8) -> None:
        self._path = folder / "nvml-state"
        size = ctypes.sizeof(_State)
        self._path.write_bytes(b"\0" * size)
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self.state = _State.from_buffer(self._map)
        self.state.driver = b"575.57.08"
        self.state.count = count
        for index in range(count):
            self._fill(self.state.gpus[index], index)

    def env(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give an environment in which a process finds this driver."""
        return dict(os.environ if base is None else base) | {
            "LD_LIBRARY_PATH": str(library().parent),
            "FAKE_NVML_STATE": str(self._path),
        }

    def gpu(self, index: int) -> FakeGpu:
        return self.state.gpus[index]

    def hang(self, index: int, call: str = "") -> None:
        """Let one call on a GPU, or all, never return."""
        self.fail(index, HANG, call)

    def fail(self, index: int, code: int, call: str = "") -> None:
        """Let one call on a GPU, or all, return an error."""
        self.gpu(index).only = call.encode()
        self.gpu(index).fault = code

    def heal(self, index: int) -> None:
        """Let a GPU work again."""
        self.gpu(index).fault = 0

    def _fill(self, gpu: FakeGpu, index: int) -> None:
        gpu.name = b"NVIDIA H100 80GB HBM3"
        gpu.uuid = f"GPU-{index:08d}-0000-0000-0000-000000000000".encode()
        gpu.memory_total = 81559 * 1024**2
        gpu.memory_used = (1000 + index) * 1024**2
        gpu.memory_reserved = 600 * 1024**2
        gpu.utilization = 10 * index
        gpu.temperature = 40 + index
        gpu.power_milliwatts = 100_000 + 1000 * index
        gpu.limit_milliwatts = 700_000


def library() -> Path:
    """Give the compiled library; compiled at the first call for this source on this machine."""
    key = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"fake-nvml-{os.getuid()}-{key}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / LIBRARY
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _compile(target)
    size = ctypes.CDLL(str(target), mode=os.RTLD_LOCAL).fake_nvml_state_size()
    assert size == ctypes.sizeof(_State), "fake_nvml.c and fake_nvml.py differ in their layout"
    return target


def _compile(target: Path) -> None:
    compiler = (
        [shutil.which("cc")] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    )
    draft = target.with_suffix(".draft")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*compiler, *flags, "-o", str(draft), str(SOURCE)], check=True, timeout=300)
    draft.rename(target)

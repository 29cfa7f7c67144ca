"""The fake NVML: compiled once, its state shared with the process that loads it."""

import ctypes
import fcntl
import functools
import hashlib
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

SOURCE = Path(__file__).with_name("fake_nvml.c")
LIBRARY = "libnvidia-ml.so.1"
HANG = 1000
LOST = 15
NOT_SUPPORTED = 3
NO_INSTANCE = 2**32 - 1
XID = 0x8
DOUBLE_BIT_ECC = 0x2
MIG_CHANGE = 0x100
KINDS = ("compute", "graphics", "mps")
_TEXT = 96
_EVENTS = 256
MIB = 1024**2


class FakeFault(ctypes.Structure):
    """What one call does instead of answering; the layout of ``struct fault``."""

    _fields_ = (
        ("call", ctypes.c_char * _TEXT),
        ("code", ctypes.c_uint32),
        ("delay_microseconds", ctypes.c_uint32),
    )


class FakeProcess(ctypes.Structure):
    """One process; the layout of ``struct process``."""

    _fields_ = (
        ("memory", ctypes.c_uint64),
        ("sampled_at", ctypes.c_uint64),
        ("pid", ctypes.c_uint32),
        ("kind", ctypes.c_uint32),
        ("gpu_instance", ctypes.c_uint32),
        ("compute_instance", ctypes.c_uint32),
        ("sm", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


class FakeSlice(ctypes.Structure):
    """One MIG device; the layout of ``struct slice``."""

    _fields_ = (
        ("uuid", ctypes.c_char * _TEXT),
        ("name", ctypes.c_char * _TEXT),
        ("memory_total", ctypes.c_uint64),
        ("memory_used", ctypes.c_uint64),
        ("gpu_instance", ctypes.c_uint32),
        ("compute_instance", ctypes.c_uint32),
        ("there", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


class FakeLink(ctypes.Structure):
    """One NVLink; the layout of ``struct link``. Errors: replay, recovery, CRC flit, data, ECC."""

    _fields_ = (
        ("up", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("errors", ctypes.c_uint64 * 5),
    )


class FakeGpu(ctypes.Structure):
    """One GPU; the layout of ``struct gpu``."""

    _fields_ = (
        ("name", ctypes.c_char * _TEXT),
        ("uuid", ctypes.c_char * _TEXT),
        ("pci", ctypes.c_char * _TEXT),
        ("faults", FakeFault * 8),
        ("memory_total", ctypes.c_uint64),
        ("memory_used", ctypes.c_uint64),
        ("memory_reserved", ctypes.c_uint64),
        ("energy_millijoules", ctypes.c_uint64),
        ("throttle", ctypes.c_uint64),
        ("ecc", ctypes.c_uint64 * 4),
        ("remapped", ctypes.c_uint64 * 4),
        ("retired", ctypes.c_uint64 * 3),
        ("replays", ctypes.c_uint64),
        ("event_types", ctypes.c_uint64),
        ("fault_count", ctypes.c_uint32),
        ("utilization", ctypes.c_uint32),
        ("memory_utilization", ctypes.c_uint32),
        ("temperature", ctypes.c_uint32),
        ("memory_temperature", ctypes.c_uint32),
        ("power_milliwatts", ctypes.c_uint32),
        ("limit_milliwatts", ctypes.c_uint32),
        ("clocks", ctypes.c_uint32 * 4),
        ("ecc_mode", ctypes.c_uint32),
        ("pcie", ctypes.c_uint32 * 4),
        ("link_count", ctypes.c_uint32),
        ("mig_mode", ctypes.c_uint32),
        ("process_count", ctypes.c_uint32),
        ("phantoms", ctypes.c_uint32),
        ("missing", ctypes.c_uint32 * 24),
        ("missing_count", ctypes.c_uint32),
        ("slices", FakeSlice * 8),
        ("links", FakeLink * 20),
        ("processes", FakeProcess * 128),
    )


class FakeEvent(ctypes.Structure):
    """One event; the layout of ``struct event``."""

    _fields_ = (
        ("type", ctypes.c_uint64),
        ("data", ctypes.c_uint64),
        ("gpu", ctypes.c_uint32),
        ("gpu_instance", ctypes.c_uint32),
        ("compute_instance", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


class _State(ctypes.Structure):
    _fields_ = (
        ("driver", ctypes.c_char * _TEXT),
        ("counted", ctypes.c_char * _TEXT),
        ("every_only", ctypes.c_char * _TEXT),
        ("calls", ctypes.c_uint64),
        ("counted_calls", ctypes.c_uint64),
        ("inits", ctypes.c_uint64),
        ("misuses", ctypes.c_uint64),
        ("waits", ctypes.c_uint64),
        ("count", ctypes.c_uint32),
        ("init", ctypes.c_uint32),
        ("latency_microseconds", ctypes.c_uint32),
        ("cuda", ctypes.c_uint32),
        ("every", ctypes.c_uint32),
        ("shutdown", ctypes.c_uint32),
        ("wait", ctypes.c_uint32),
        ("sequence", ctypes.c_uint32 * 16),
        ("sequence_length", ctypes.c_uint32),
        ("sequence_next", ctypes.c_uint32),
        ("sets_alive", ctypes.c_uint32),
        ("event_sequence", ctypes.c_uint32),
        ("events", FakeEvent * _EVENTS),
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
        self._count = count
        self.reset()

    def reset(self) -> None:
        """Be as new."""
        ctypes.memset(ctypes.addressof(self.state), 0, ctypes.sizeof(_State))
        self.state.driver = b"575.57.08"
        self.state.cuda = 12090
        self.state.count = self._count
        for index in range(16):
            self._fill(self.state.gpus[index], index)

    def env(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give an environment in which a process finds this driver."""
        return self.state_env(base) | {"LD_LIBRARY_PATH": str(library().parent)}

    def state_env(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give an environment in which the library finds its state, but nobody the library."""
        return dict(os.environ if base is None else base) | {"FAKE_NVML_STATE": str(self._path)}

    def gpu(self, index: int) -> FakeGpu:
        return self.state.gpus[index]

    def hang(self, index: int, call: str = "") -> None:
        """Let one call on a GPU, or all, never return."""
        self.fail(index, HANG, call)

    def fail(self, index: int, code: int, call: str = "") -> None:
        """Let one call on a GPU, or all, return an error."""
        self._fault(index, call).code = code

    def slow_down(self, index: int, microseconds: int, call: str = "") -> None:
        """Let one call on a GPU, or all, take a while."""
        self._fault(index, call).delay_microseconds = microseconds

    def heal(self, index: int) -> None:
        """Let a GPU work again."""
        gpu = self.gpu(index)
        gpu.fault_count = 0
        for fault in gpu.faults:
            fault.code, fault.delay_microseconds = 0, 0

    def lose(self, index: int) -> None:
        """Let a GPU fall off the bus; who waits for events hears of it."""
        self.fail(index, LOST)
        self._wake()

    def fail_everywhere(self, code: int, call: str = "") -> None:
        """Let one call, or all but start and stop, return an error or hang; 0 heals it."""
        self.state.every_only, self.state.every = call.encode(), code

    def start_with(self, *codes: int) -> None:
        """Let the next starts of NVML fail, one after the other, with these errors."""
        self.state.sequence[: len(codes)] = codes
        self.state.sequence_next, self.state.sequence_length = 0, len(codes)

    def count_calls(self, call: str) -> None:
        """Count the uses of one call in ``state.counted_calls`` from now on."""
        self.state.counted, self.state.counted_calls = call.encode(), 0

    def lack(self, index: int, *fields: int) -> None:
        """Let a GPU lack some of the fields of ``nvmlDeviceGetFieldValues``."""
        gpu = self.gpu(index)
        gpu.missing[: len(fields)] = fields
        gpu.missing_count = len(fields)

    def processes(
        self, index: int, processes: Iterable[tuple[int, int] | tuple[int, int, str]]
    ) -> None:
        """Put processes on a GPU: pid, bytes and, unless it computes, the kind."""
        gpu = self.gpu(index)
        gpu.process_count = 0
        for number, (pid, memory, *kind) in enumerate(processes):
            process = gpu.processes[number]
            process.pid, process.memory, process.sampled_at = pid, memory, 0
            process.kind = KINDS.index(kind[0]) if kind else 0
            process.gpu_instance = process.compute_instance = NO_INSTANCE
            gpu.process_count = number + 1

    def busy(self, index: int, pid: int, percent: int, at: int) -> None:
        """Give a process of a GPU a sample of its utilization, taken at some microsecond."""
        for process in self.gpu(index).processes[: self.gpu(index).process_count]:
            if process.pid == pid:
                process.sm, process.sampled_at = percent, at

    def slice(self, index: int, profiles: Sequence[str]) -> None:
        """Put a GPU into MIG mode with slices of these profiles; out of it with none."""
        gpu = self.gpu(index)
        gpu.mig_mode = 1 if profiles else 0
        for number, piece in enumerate(gpu.slices):
            piece.there = number < len(profiles)
            if piece.there:
                piece.uuid = f"MIG-{index:08d}-{number:04d}-0000-0000-000000000000".encode()
                piece.name = gpu.name + b" MIG " + profiles[number].encode()
                piece.memory_total = 10 * 1024 * MIB
                piece.memory_used = (100 + number) * MIB
                piece.gpu_instance, piece.compute_instance = 7 + number, 0

    def link(self, index: int, count: int) -> None:
        """Give a GPU NVLinks, all up."""
        gpu = self.gpu(index)
        gpu.link_count = count
        for link in gpu.links[:count]:
            link.up = 1

    def xid(self, index: int, number: int) -> None:
        """Let the driver tell an XID of a GPU."""
        self.event(index, XID, number)

    def event(self, index: int, kind: int, data: int = 0) -> None:
        """Let the driver tell an event of a GPU."""
        event = self.state.events[self.state.event_sequence % _EVENTS]
        event.type, event.data, event.gpu = kind, data, index
        event.gpu_instance = event.compute_instance = NO_INSTANCE
        self.state.event_sequence += 1
        self._wake()

    def fail_wait(self, code: int) -> None:
        """Let the wait for events return an error from now on; 0 heals it."""
        self.state.wait = code
        self._wake()

    def _wake(self) -> None:
        loaded = _loaded(library())
        loaded.fake_nvml_wake(ctypes.byref(self.state, _State.event_sequence.offset))

    def _fault(self, index: int, call: str) -> FakeFault:
        gpu, name = self.gpu(index), call.encode()
        for fault in gpu.faults[: gpu.fault_count]:
            if fault.call == name:
                return fault
        fault = gpu.faults[gpu.fault_count]
        fault.call, fault.code, fault.delay_microseconds = name, 0, 0
        gpu.fault_count += 1
        return fault

    def _fill(self, gpu: FakeGpu, index: int) -> None:
        gpu.name = b"NVIDIA H100 80GB HBM3"
        gpu.uuid = f"GPU-{index:08d}-0000-0000-0000-000000000000".encode()
        gpu.pci = f"00000000:{0x10 + index:02X}:00.0".encode()
        gpu.memory_total = 81559 * MIB
        gpu.memory_used = (1000 + index) * MIB
        gpu.memory_reserved = 600 * MIB
        gpu.utilization = 10 * index
        gpu.memory_utilization = 5 * index
        gpu.temperature = 40 + index
        gpu.memory_temperature = 50 + index
        gpu.power_milliwatts = 100_000 + 1000 * index
        gpu.limit_milliwatts = 700_000
        gpu.energy_millijoules = 5_000_000 + index
        gpu.clocks[:] = (1980, 1980, 2619, 1545)
        gpu.ecc_mode = 1
        gpu.pcie[:] = (5, 5, 16, 16)
        gpu.event_types = 0x1 | DOUBLE_BIT_ECC | XID | 0x10 | MIG_CHANGE


@functools.cache
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
    size = _loaded(target).fake_nvml_state_size()
    assert size == ctypes.sizeof(_State), "fake_nvml.c and fake_nvml.py differ in their layout"
    return target


def _loaded(target: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(target), mode=os.RTLD_LOCAL)


def _compile(target: Path) -> None:
    compiler = (
        [shutil.which("cc")] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    )
    draft = target.with_suffix(".draft")
    # The loader knows a library that is already there by this name.
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{LIBRARY}"]
    subprocess.run([*compiler, *flags, "-o", str(draft), str(SOURCE)], check=True, timeout=300)
    draft.rename(target)

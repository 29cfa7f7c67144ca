"""The libraries that stand in for CUDA's on a machine without a GPU."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from citadel_k8s.local.vllminstall import _stand_in

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

LINKED = """
int cudaGetDeviceCount(int *count);
int cudaMalloc(void **memory, unsigned long size);
int ask(void) { int count; return cudaGetDeviceCount(&count); }
int take(void) { void *memory; return cudaMalloc(&memory, 1); }
"""


def compile_c(source: str, library: Path, *options: str) -> None:
    code = library.with_suffix(".c")
    code.write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, code, *options], check=True)


@pytest.fixture
def torch(tmp_path: Path) -> Path:
    """A folder with a library that is linked to a CUDA that is gone, with versioned symbols."""
    cuda = tmp_path / "cuda"
    folder = tmp_path / "torch"
    for each in (cuda, folder):
        each.mkdir()
    script = cuda / "map"
    script.write_text("libcudart.so.13 { global: *; };\n")
    gone = cuda / "libcudart.so.13"
    functions = "int cudaGetDeviceCount(int *c) {return 9;} int cudaMalloc(void **m) {return 9;}"
    compile_c(functions, gone, f"-Wl,-soname,{gone.name}", f"-Wl,--version-script={script}")
    compile_c(LINKED, folder / "libtorch.so", str(gone), "-Wl,-z,now", "-Wl,-rpath,$ORIGIN")
    gone.unlink()
    return folder


def test_a_library_linked_to_cuda_loads_where_there_is_none(torch: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="libcudart"):
        ctypes.CDLL(str(torch / "libtorch.so"))

    _stand_in(torch, tmp_path)

    loaded = ctypes.CDLL(str(torch / "libtorch.so"))
    assert loaded.ask() == 100  # there is no device
    assert loaded.take() == 0


def test_doing_it_again_changes_nothing(torch: Path, tmp_path: Path) -> None:
    _stand_in(torch, tmp_path)
    _stand_in(torch, tmp_path)

    assert ctypes.CDLL(str(torch / "libtorch.so")).ask() == 100

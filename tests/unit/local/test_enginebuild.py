"""What is said while an engine is built."""

from pathlib import Path

from citadel_k8s.local.enginebuild import EngineBuilder

NINJA = "[1/208] Building CXX object a.o\n[2/208] Building CXX object b.o\n"
GO = "go: downloading a.example/b v1.0.0\nnet/http\nruntime/cgo\n"


def builder(tmp_path: Path) -> EngineBuilder:
    return EngineBuilder(tmp_path / "target", tmp_path / "work", print)


def test_progress_of_ninja_is_told_in_steps(tmp_path: Path) -> None:
    assert builder(tmp_path)._progress(NINJA, 0) == ", 2 of 208 steps"


def test_progress_of_go_is_told_in_packages(tmp_path: Path) -> None:
    told = builder(tmp_path)._progress(GO, 534)

    assert told == ", 2 of at most 534 packages compiled, now runtime/cgo"


def test_ollama_finds_the_headers_that_its_module_lacks(tmp_path: Path) -> None:
    environment = builder(tmp_path)._step_environment()

    assert environment["CGO_CPPFLAGS"] == f"-I{tmp_path}/work/sources/llama.cpp/vendor"
    assert environment["CGO_ENABLED"] == "1"

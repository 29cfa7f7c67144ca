"""The tiny model."""

import struct
from pathlib import Path

from citadel_k8s.local.gguf import ALIGNMENT, write_tiny_model


def test_the_file_begins_as_a_gguf_of_version_3_with_twenty_one_tensors(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf")

    magic, version, tensors, _ = struct.unpack("<4sIQQ", path.read_bytes()[:24])

    assert (magic, version, tensors) == (b"GGUF", 3, 21)
    assert path.stat().st_size % ALIGNMENT == 0
    assert 500_000 < path.stat().st_size < 600_000


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    first, again, other = (
        write_tiny_model(tmp_path / name, seed=seed).read_bytes()
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )

    assert first == again
    assert first != other


def test_a_model_that_loads_slowly_takes_no_room_on_the_disk(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "wide.gguf", forward=100_000)

    assert path.stat().st_size > 150_000_000
    assert path.stat().st_blocks * 512 < 2_000_000

from pathlib import Path

import pytest

from citadel_k8s.clients.machine import machine_id


def test_the_id_is_the_same_each_time_and_is_not_the_machines_own(tmp_path: Path):
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    first = machine_id(file)
    assert first == machine_id(file)
    assert len(first) == 32
    assert first != "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("content", ["", "\n", "uninitialized\n"])
def test_a_machine_without_an_id_has_none(tmp_path: Path, content: str):
    file = tmp_path / "machine-id"
    file.write_text(content)
    assert machine_id(file) == ""
    assert machine_id(tmp_path / "missing") == ""

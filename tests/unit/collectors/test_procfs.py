import errno
import os
from pathlib import Path

import pytest

from citadel_k8s.collectors.procfs import (
    FILE_MAX,
    OpenFiles,
    parse_stat,
    read_bytes,
    read_number,
)
from tests.unit.collectors import trees


def test_no_more_than_the_limit_is_read_of_a_file(tmp_path: Path):
    file = tmp_path / "huge"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert len(read_bytes(str(file))) == FILE_MAX
    assert len(read_bytes(str(file), 100)) == 100
    file.write_bytes(b"x" * 200_000)
    assert read_bytes(str(file)) == b"x" * 200_000


def test_a_pipe_in_a_files_place_holds_nobody_up(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert read_bytes(str(tmp_path / "pipe")) == b""


@pytest.mark.parametrize(
    "text", ["", "max\n", "-1\n", "1_0\n", "0x10\n", "1 2\n", "\u0663\n", "\0"]
)
def test_what_is_no_number_is_unknown(tmp_path: Path, text: str):
    (tmp_path / "f").write_text(text)
    assert read_number(str(tmp_path / "f")) is None
    assert read_number(str(tmp_path / "none")) is None


@pytest.mark.parametrize("name", ["python3", "a) S 1 (b", "tmux: server", "(sd-pam)", ") 7 (", ""])
def test_a_process_may_be_called_anything(name: str):
    columns = " ".join(["S", "42", *["0"] * 17, "777", "0", "0"])
    assert parse_stat(f"10 ({name}) {columns}\n") == (name, 42, 777, False)


def test_a_stat_that_is_cut_short_is_an_error():
    text = "10 (a) " + " ".join(["S", "42", *["0"] * 17])
    for end in range(len(text)):
        with pytest.raises((ValueError, IndexError)):
            parse_stat(text[:end])


def test_kept_files_are_read_anew_each_time(tmp_path: Path):
    file = tmp_path / "f"
    files = OpenFiles(room=1)
    for text in (b"one", b"three", b"2"):
        file.write_bytes(text)
        assert files.read(str(file)) == text
    with pytest.raises(FileNotFoundError):
        files.read(str(tmp_path / "none"))


def test_no_more_files_are_kept_open_than_there_is_room_for(tmp_path: Path):
    files = OpenFiles(room=3)
    before = trees.open_files()
    for _ in range(3):
        for i in range(10):
            (tmp_path / str(i)).write_bytes(b"x")
            assert files.read(str(tmp_path / str(i))) == b"x"
        assert trees.open_files() == before + 3
    files.sweep()
    assert files.read(str(tmp_path / "0")) == b"x"
    files.sweep()
    assert trees.open_files() == before + 1
    files.sweep()
    assert trees.open_files() == before


def test_a_kept_file_that_gives_an_error_is_opened_anew(tmp_path: Path):
    file = tmp_path / "f"
    file.write_bytes(b"new")
    files = OpenFiles(room=3)
    files.read(str(file))
    folder = os.open(tmp_path, os.O_RDONLY)  # reading a directory is an error, as of a gone cgroup
    os.dup2(folder, files._kept[str(file)])
    os.close(folder)
    with pytest.raises(OSError, match=os.strerror(errno.EISDIR)):
        os.pread(files._kept[str(file)], 1, 0)
    assert files.read(str(file)) == b"new"
    for _ in range(2):
        files.sweep()
    assert files._kept == {}

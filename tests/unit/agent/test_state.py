import asyncio
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from citadel_k8s.agent import state as state_module
from citadel_k8s.agent.state import CONFIG_FILE, FILE_MAX, MARKER_FILE, State
from citadel_k8s.aio.outbox import Freshness

VALUE = {"values": {"deviceName": "a"}}


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_what_is_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    assert await State(folder, "n1").save(CONFIG_FILE, VALUE)
    loaded = State(folder, "n1").load(CONFIG_FILE)
    assert loaded == {"version": 1, "nodeId": "n1", **VALUE}


async def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    assert await State(folder, "n1").save(CONFIG_FILE, VALUE)
    assert stat.S_IMODE((folder / CONFIG_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert names(folder) == [CONFIG_FILE]


async def test_without_a_folder_nothing_is_kept_and_nothing_fails() -> None:
    state = State(None, "n1")
    assert not await state.save(CONFIG_FILE, VALUE)
    assert not await state.mark(Freshness())
    assert state.load(CONFIG_FILE) is None
    state.discard(CONFIG_FILE, "whatever")


def test_a_node_that_has_saved_nothing_has_nothing(tmp_path: Path) -> None:
    assert State(tmp_path / "none", "n1").load(CONFIG_FILE) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"version": 1, "nodeId": "n1", "val',
        b"\xff\xfe",
        b"[]",
        b'{"version": 2, "nodeId": "n1"}',
        b'{"version": 1, "nodeId": "n2"}',
        b'{"version": 1}',
        b" " * (FILE_MAX + 1),
        b"[" * 100_000,
    ],
)
def test_a_file_of_no_use_is_put_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CONFIG_FILE).write_bytes(content)
    assert State(tmp_path, "n1").load(CONFIG_FILE) is None
    assert names(tmp_path) == [f"{CONFIG_FILE}.rejected"]
    assert (tmp_path / f"{CONFIG_FILE}.rejected").read_bytes() == content
    (tmp_path / CONFIG_FILE).write_bytes(b"again")
    assert State(tmp_path, "n1").load(CONFIG_FILE) is None
    assert names(tmp_path) == [f"{CONFIG_FILE}.rejected"]


def test_a_file_that_cannot_be_put_aside_is_not_the_end(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_bytes(b"{")
    (tmp_path / f"{CONFIG_FILE}.rejected" / "occupied").mkdir(parents=True)
    assert State(tmp_path, "n1").load(CONFIG_FILE) is None


async def test_a_link_or_a_leftover_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text("mine")
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / f".{CONFIG_FILE}.new").symlink_to(foreign)
    (folder / CONFIG_FILE).symlink_to(foreign)
    state = State(folder, "n1")
    assert await state.save(CONFIG_FILE, VALUE)
    assert foreign.read_text() == "mine"
    assert state.load(CONFIG_FILE) is not None


async def test_a_folder_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("in the way")
    state = State(folder, "n1")
    assert not await state.save(CONFIG_FILE, VALUE)
    folder.unlink()
    assert await state.save(CONFIG_FILE, VALUE)


async def test_a_disk_that_hangs_costs_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    begun = 0

    def hang(_handle: int) -> None:
        nonlocal begun
        begun += 1
        gate.wait(10)

    monkeypatch.setattr(state_module, "WRITE_TIMEOUT", 0.05)
    monkeypatch.setattr(os, "fsync", hang)
    state = State(tmp_path, "n1")
    try:
        assert not await state.save(CONFIG_FILE, VALUE)
        assert not await state.save(CONFIG_FILE, VALUE)
        assert begun == 1
        assert await state.mark(Freshness())  # another file is another matter
    finally:
        gate.set()
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    for _ in range(100):
        if await state.save(CONFIG_FILE, VALUE):
            break
        await asyncio.sleep(0.01)
    assert state.load(CONFIG_FILE) is not None


async def test_the_marker_says_unknown_until_something_got_through(tmp_path: Path) -> None:
    state = State(tmp_path, "n1")
    marker = tmp_path / MARKER_FILE
    await state.mark(Freshness(last_attempt=0.0, consecutive_failures=2, last_error="no\nroute"))
    assert json.loads(marker.read_text()) == {
        "version": 1,
        "nodeId": "n1",
        "state": "unknown",
        "lastSuccessAt": None,
        "lastAttemptAt": "1970-01-01T00:00:00Z",
        "consecutiveFailures": 2,
        "lastError": "no\N{REPLACEMENT CHARACTER}route",
    }
    await state.mark(Freshness(last_success=60.0, last_attempt=60.0))
    told = json.loads(marker.read_text())
    assert (told["state"], told["lastSuccessAt"]) == ("ok", "1970-01-01T00:01:00Z")


@pytest.mark.parametrize(
    ("before", "kept"),
    [('"1970-01-01T00:01:00Z"', "1970-01-01T00:01:00Z"), ("7", None), ("null", None), ("{", None)],
)
async def test_the_last_success_of_the_process_before_is_kept(
    tmp_path: Path, before: str, kept: str | None
) -> None:
    marker = tmp_path / MARKER_FILE
    marker.write_text(f'{{"version": 1, "nodeId": "n1", "lastSuccessAt": {before}}}')
    assert await State(tmp_path, "n1").mark(Freshness(last_attempt=90.0))
    told = json.loads(marker.read_text())
    assert (told["state"], told["lastSuccessAt"]) == ("unknown", kept)


async def test_a_disk_that_hangs_holds_a_start_up_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    (tmp_path / CONFIG_FILE).write_bytes(b"{")

    def hang(_path: Path) -> None:
        gate.wait(10)
        raise FileNotFoundError

    monkeypatch.setattr(state_module, "READ_TIMEOUT", 0.05)
    monkeypatch.setattr(state_module, "_read", hang)
    try:
        assert State(tmp_path, "n1").load(CONFIG_FILE) is None
        assert names(tmp_path) == [CONFIG_FILE]
    finally:
        gate.set()


async def test_the_loop_goes_on_while_the_last_marker_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, gate = asyncio.get_running_loop(), threading.Event()

    def wait(_path: Path) -> None:
        loop.call_soon_threadsafe(gate.set)
        assert gate.wait(5)
        raise FileNotFoundError

    monkeypatch.setattr(state_module, "_read", wait)
    assert await State(tmp_path, "n1").mark(Freshness())


async def test_a_write_that_is_given_up_before_its_turn_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    state = State(tmp_path, "n1")
    busy = [state._threads.submit(gate.wait, 10) for _ in range(state_module.THREADS)]
    monkeypatch.setattr(state_module, "WRITE_TIMEOUT", 0.05)
    assert not await state.save(CONFIG_FILE, VALUE)
    gate.set()
    for future in busy:
        await asyncio.wrap_future(future)
    monkeypatch.setattr(state_module, "WRITE_TIMEOUT", 5)
    assert await state.save(CONFIG_FILE, VALUE)


async def test_without_room_for_a_thread_nothing_is_kept_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    state = State(tmp_path, "n1")
    monkeypatch.setattr(state._threads, "_adjust_thread_count", refuse)
    assert state.load(CONFIG_FILE) is None
    assert not await state.save(CONFIG_FILE, VALUE)
    monkeypatch.undo()
    assert await state.save(CONFIG_FILE, VALUE)

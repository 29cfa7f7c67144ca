import asyncio
import os
import threading
from pathlib import Path

import pytest

from citadel_k8s.errors import ConfigError
from citadel_k8s.publishers import token as token_module
from citadel_k8s.publishers import transport
from citadel_k8s.publishers.token import TOKEN_MAX, token_file, token_value
from tests.proxy import PING, TOKEN, running


def test_a_file_is_read_anew_each_time_and_stripped(tmp_path: Path):
    path = tmp_path / "token"
    token = token_file(path)
    path.write_text(" first\n")
    assert token() == "first"
    path.write_text("second")
    assert token() == "second"


def test_a_file_behind_a_link_that_is_swapped_is_followed(tmp_path: Path):
    # As the kubelet renews what it projects.
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "token"
    link.symlink_to("a")
    token = token_file(link)
    assert token() == "a"
    link.unlink()
    link.symlink_to("b")
    assert token() == "b"


def test_a_missing_file_says_what_to_do(tmp_path: Path):
    with pytest.raises(ConfigError, match="enrol this node"):
        token_file(tmp_path / "none")()


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"a" * (TOKEN_MAX + 1), b"two words", b"a\x00b", "tökén".encode()]
)
def test_what_can_be_no_token_is_refused_without_telling_it(tmp_path: Path, content: bytes):
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        token_file(path)()
    assert "two words" not in str(caught.value)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigError):
            token_file(path)()


def test_a_token_that_all_may_read_is_taken_as_pods_have_such(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("t")
    path.chmod(0o644)
    assert token_file(path)() == "t"


def test_a_value_is_checked_at_once():
    assert token_value(" t ")() == "t"
    for value in ("", "a b", "é"):
        with pytest.raises(ConfigError):
            token_value(value)


async def test_a_token_on_a_disk_that_hangs_is_a_failure_in_time_and_is_read_once_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    path = tmp_path / "token"
    path.write_text(TOKEN)
    monkeypatch.setattr(transport, "TOKEN_SECONDS", 0.05)
    monkeypatch.setattr(token_module, "_content", lambda _path: gate.wait(10) and TOKEN.encode())
    async with running() as proxy:
        way = transport.Transport(proxy.base, token_file(path))
        try:
            for _ in range(2):
                with pytest.raises(transport.ProxyError, match="the token file: no answer"):
                    await way.request("GET", PING)
        finally:
            gate.set()
        await asyncio.sleep(0)
        monkeypatch.setattr(transport, "TOKEN_SECONDS", 5)
        patient = transport.Transport(proxy.base, token_file(path))
        assert await patient.request("GET", PING) == {"pong": True}
        await way.close()
        await patient.close()

import os
from pathlib import Path

import pytest

from citadel_k8s.errors import ConfigError
from citadel_k8s.publishers.token import TOKEN_MAX, token_file, token_value


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

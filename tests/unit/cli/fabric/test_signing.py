import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citadel_k8s.cli.fabric import signing
from citadel_k8s.cli.fabric.app import fabric
from citadel_k8s.cli.fabric.sessions import forget_session, keep_session, kept_session
from citadel_k8s.cli.fabric.signing import taken_apart
from citadel_k8s.clients.fabrichttp import ApiHttp
from citadel_k8s.clients.fleet import FleetError
from citadel_k8s.errors import ConfigError

BASE = "https://api.example.org"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_a_session_is_kept_for_its_api_alone_and_for_its_owner():
    file = keep_session(BASE, "cs_secret")
    assert kept_session(BASE) == "cs_secret"
    assert kept_session("https://other.example.org") is None
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert "example" not in file.name


def test_a_file_that_others_could_read_is_made_anew():
    file = keep_session(BASE, "cs_old")
    file.chmod(0o644)
    assert keep_session(BASE, "cs_new") == file
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept_session(BASE) == "cs_new"


def test_what_others_could_read_or_have_put_there_is_no_session(tmp_path: Path):
    file = keep_session(BASE, "cs_secret")
    file.chmod(0o644)
    assert kept_session(BASE) is None
    file.unlink()
    other = tmp_path / "other"
    other.write_text("cs_planted")
    other.chmod(0o600)
    file.symlink_to(other)
    assert kept_session(BASE) is None
    file.unlink()
    os.mkfifo(file, 0o600)
    assert kept_session(BASE) is None


def test_a_session_follows_no_link_to_a_folder_elsewhere(home: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (home / "citadel-k8s").mkdir()
    (home / "citadel-k8s" / "sessions").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="a link or not yours"):
        keep_session(BASE, "cs_secret")
    assert not list(elsewhere.iterdir())


def test_a_folder_that_was_open_to_others_is_closed(home: Path):
    folder = home / "citadel-k8s" / "sessions"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    keep_session(BASE, "cs_secret")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_who_has_no_home_is_nobody(monkeypatch: pytest.MonkeyPatch):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert kept_session(BASE) is None
    with pytest.raises(ConfigError, match="no home directory"):
        keep_session(BASE, "cs_secret")


def test_a_session_is_forgotten_and_may_be_forgotten_twice():
    keep_session(BASE, "cs_secret")
    forget_session(BASE)
    forget_session(BASE)
    assert kept_session(BASE) is None


def test_a_file_that_is_no_session_is_none():
    keep_session(BASE, "x" * 1000)
    assert kept_session(BASE) is None


def test_a_folder_that_cannot_be_made_is_told(home: Path):
    (home / "citadel-k8s").write_text("")
    with pytest.raises(ConfigError, match="the session is not kept"):
        keep_session(BASE, "cs_secret")


def test_a_link_is_taken_apart():
    link = f"{BASE}/fabric/api/session/link?token=cl_secret"
    assert taken_apart(f" {link}\n") == (f"{BASE}/fabric", "cl_secret")


@pytest.mark.parametrize(
    "link",
    ["", "cl_secret", f"{BASE}/api/session/link", f"{BASE}/?token=cl_secret", "https://[?token=x"],
)
def test_what_is_no_link_is_refused_without_being_told(link: str):
    with pytest.raises(ConfigError, match="no login link") as caught:
        taken_apart(link)
    assert "cl_secret" not in str(caught.value)


def test_a_link_is_read_where_no_list_of_processes_shows_it(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, str]] = []

    async def redeemed(base: str, secret: str, _timeout: float) -> str:
        asked.append((base, secret))
        return "cs_secret"

    monkeypatch.setattr(signing, "_redeemed", redeemed)
    link = f"{BASE}/api/session/link?token=cl_secret\n"
    result = CliRunner().invoke(fabric, ["login", "-"], input=link)
    assert result.exit_code == 0
    assert asked == [(BASE, "cl_secret")]
    assert kept_session(BASE) == "cs_secret"


@pytest.mark.parametrize(("status", "code"), [(204, 0), (401, 0), (503, 1)])
def test_a_session_that_is_over_already_is_signed_out(
    monkeypatch: pytest.MonkeyPatch, status: int, code: int
):
    async def change(*_: object) -> dict[str, str]:
        if status != 204:
            raise FleetError("it says no", status=status)
        return {}

    monkeypatch.setattr(ApiHttp, "change", change)
    keep_session(BASE, "cs_secret")
    result = CliRunner().invoke(fabric, ["logout", "--api", BASE])
    assert result.exit_code == code
    assert kept_session(BASE) is None

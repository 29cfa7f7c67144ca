import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from citadel_k8s.clients.enrolment import SETTINGS_MAX, TOKEN_FILE, EnrolError, Enrolment
from citadel_k8s.errors import ConfigError

ENROLMENT = Enrolment(
    authkey="mesh-secret",
    device_api_token="proxy-secret",
    api_base_url="https://aceteam.example",
    org_id="acme",
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_two_files_are_written_that_only_the_owner_reads(tmp_path: Path):
    path = tmp_path / "deep" / "citadel" / "agent.yaml"
    token = ENROLMENT.save(path)
    assert token == path.with_name(TOKEN_FILE)
    assert token.read_text() == "proxy-secret\n"
    assert yaml.safe_load(path.read_text()) == {
        "publish": "api",
        "apiBaseUrl": "https://aceteam.example",
        "orgId": "acme",
        "apiTokenFile": str(token),
    }
    assert (mode(path), mode(token)) == (0o600, 0o600)
    assert (mode(path.parent), mode(path.parent.parent)) == (0o700, 0o700)
    assert sorted(p.name for p in path.parent.iterdir()) == ["agent.yaml", TOKEN_FILE]


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_umask_makes_no_difference(tmp_path: Path, umask: int):
    before = os.umask(umask)
    try:
        token = ENROLMENT.save(tmp_path / "agent.yaml")
    finally:
        os.umask(before)
    assert mode(token) == mode(tmp_path / "agent.yaml") == 0o600


def test_files_that_others_could_read_are_replaced_and_not_written_into(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    (tmp_path / TOKEN_FILE).symlink_to(elsewhere)
    path = tmp_path / "agent.yaml"
    path.write_text("publish: redis\n")
    path.chmod(0o644)
    with path.open() as opened:
        ENROLMENT.save(path)
        assert "acme" not in opened.read()
    assert elsewhere.read_text() == "theirs"
    assert mode(path) == 0o600


def test_other_settings_are_kept(tmp_path: Path):
    path = tmp_path / "agent.yaml"
    path.write_text("# mine\nintervalSeconds: 10\norgId: old\n")
    ENROLMENT.save(path)
    settings = yaml.safe_load(path.read_text())
    assert settings["intervalSeconds"] == 10
    assert settings["orgId"] == "acme"


@pytest.mark.parametrize("content", [b"[1, 2]", b"{", b"\xff", b" " * (SETTINGS_MAX + 1)])
def test_a_file_that_holds_no_settings_is_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "agent.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        ENROLMENT.save(path)
    assert path.read_bytes() == content
    assert not path.with_name(TOKEN_FILE).exists()


def test_a_place_that_cannot_be_written_is_an_error_that_leaves_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("")
    (tmp_path / TOKEN_FILE).mkdir()
    for path in (tmp_path / "file" / "agent.yaml", tmp_path / "agent.yaml"):
        with pytest.raises((EnrolError, ConfigError)):
            ENROLMENT.save(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [TOKEN_FILE, "file"]


def test_settings_cannot_take_the_place_of_the_token(tmp_path: Path):
    with pytest.raises(ConfigError):
        ENROLMENT.save(tmp_path / TOKEN_FILE)


def test_without_an_org_none_is_written(tmp_path: Path):
    path = tmp_path / "agent.yaml"
    replace(ENROLMENT, org_id=None).save(path)
    assert "orgId" not in yaml.safe_load(path.read_text())


def test_without_a_token_there_is_nothing_to_keep(tmp_path: Path):
    bare = replace(ENROLMENT, device_api_token=None)
    with pytest.raises(EnrolError, match="no token"):
        bare.save(tmp_path / "agent.yaml")
    with pytest.raises(EnrolError, match="no token"):
        bare.secret_manifest("citadel", "default")
    assert not list(tmp_path.iterdir())


def test_a_secret_has_the_token_and_its_settings_as_text():
    manifest = yaml.safe_load(ENROLMENT.secret_manifest("citadel-device", "citadel"))
    assert manifest == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "citadel-device", "namespace": "citadel"},
        "type": "Opaque",
        "stringData": {
            "device-token": "proxy-secret",
            "apiBaseUrl": "https://aceteam.example",
            "orgId": "acme",
        },
    }


def test_values_that_look_like_something_else_stay_text():
    tricky = replace(ENROLMENT, org_id="0123", device_api_token="yes")
    strings = yaml.safe_load(tricky.secret_manifest("a", "b"))["stringData"]
    assert (strings["orgId"], strings["device-token"]) == ("0123", "yes")


@pytest.mark.parametrize("name", ["", "A", "a b", "a\nb: c", "-a", "a" * 254])
def test_what_is_no_name_is_refused(name: str):
    for pair in ((name, "ok"), ("ok", name)):
        with pytest.raises(ConfigError):
            ENROLMENT.secret_manifest(*pair)

"""Servers that are not there yet, or no more: the operator waits, says why, and goes on."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.operator import rough as acts
from tests.integration.operator.lives import Life
from tests.integration.operator.rig import T_FAILURE

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
"""
WAITING = {"serving", "leading", "restored"}


def told(seen) -> list[str]:
    return [line["event"] for line in seen.lines if line["event"] not in WAITING]


def test_an_operator_without_definitions_waits_and_says_what_to_install(rough: Life) -> None:
    seen = rough.saw(acts.has_no_definitions)
    assert told(seen) == ["cannot_list_objects"]
    assert "apply manifests/crds" in seen.lines[-1]["error"]
    assert seen.live[0] == 200
    status, ready = seen.ready
    assert status == 503
    assert "manifests/crds" in ready["missing"]["objects"]


def test_objects_are_watched_though_their_definition_came_late(rough: Life) -> None:
    rough.saw(acts.has_no_definitions)  # which waits for a deletion to be made good


def test_definitions_that_were_deleted_and_came_back_are_served_again(rough: Life) -> None:
    seen = rough.saw(acts.loses_definitions)
    assert [line for line in seen.lines if "exception" in line] == []


def test_a_death_is_known_in_time_though_the_api_server_is_away(rough: Life) -> None:
    seen = rough.saw(acts.loses_the_api)
    assert seen.known <= T_FAILURE + 3
    assert seen.others == ["Online", "Online"]


def test_an_api_server_that_is_back_is_told_soon(rough: Life) -> None:
    seen = rough.saw(acts.loses_the_api)
    assert seen.told < 12
    assert seen.states == {"first": "Online", "second": "Online"}


def test_an_api_server_that_is_away_is_no_reason_to_end_or_to_be_restarted(rough: Life) -> None:
    seen = rough.saw(acts.loses_the_api)
    assert seen.running
    assert seen.live[0] == 200
    status, ready = seen.ready
    assert status == 503
    assert list(ready["missing"]) == ["objects"]


def test_an_outage_of_the_api_server_is_a_few_lines_and_no_traceback(rough: Life) -> None:
    lines = rough.saw(acts.loses_the_api).lines
    assert [line for line in lines if "exception" in line or "Traceback" in str(line)] == []
    failing = [line["event"] for line in lines if line["event"].endswith("_failing")]
    over = [line["event"] for line in lines if line["event"].endswith("_failing_recovered")]
    assert len(failing) == len(over) <= 4


def test_an_operator_that_finds_no_api_server_waits_and_says_so(rough: Life) -> None:
    seen = rough.saw(acts.starts_with_nothing).api
    assert told(seen) == ["cannot_list_objects"]
    assert "Cannot connect" in seen.lines[-1]["error"]
    assert (seen.live[0], seen.ready[0]) == (200, 503)
    assert "Cannot connect" in seen.ready[1]["missing"]["objects"]


def test_an_operator_that_finds_no_valkey_waits_and_says_so(rough: Life) -> None:
    seen = rough.saw(acts.starts_with_nothing).valkey
    assert told(seen).count("snapshot_failing") == told(seen).count("canary_lost") == 1
    assert (seen.live[0], seen.ready[0]) == (200, 503)
    assert list(seen.ready[1]["missing"]) == ["stream"]


def test_an_operator_with_a_wrong_password_waits_says_so_and_keeps_it_to_itself(
    rough: Life,
) -> None:
    seen = rough.saw(acts.has_the_wrong_password)
    assert sorted(told(seen)) == ["canary_lost", "snapshot_failing"]
    assert all("password" in line["error"] for line in seen.lines if "error" in line)
    assert "not-the-password" not in str(seen.lines)
    assert (seen.live[0], seen.ready[0]) == (200, 503)


def run(*words: str, **env: str) -> tuple[int, str]:
    argv = [sys.executable, "-m", "citadel_k8s", "operator", *words]
    done = subprocess.run(
        argv,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"HOME": "/nonexistent", **env},
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "redisUrl"),
        (("--redis-url", "redis://127.0.0.1:1"), "--kubeconfig"),
        (("--redis-url", "localhost:6379"), "redis://"),
        (("--redis-url", "redis://127.0.0.1:1", "--kubeconfig", "/nonexistent"), "/nonexistent"),
        (("--redis-url", "redis://127.0.0.1:1", "--missed", "0"), "missedHeartbeats"),
    ],
)
def test_a_missing_or_useless_setting_is_one_line_and_status_2(words, said) -> None:
    status, text = run(*words)
    assert status == 2
    assert said in text
    assert len(text.splitlines()) == 1


def test_a_port_that_is_taken_is_one_line_and_status_2(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(KUBECONFIG)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["--kubeconfig", str(config), "--redis-url", "redis://127.0.0.1:1"]
        status, text = run(*words, "--listen-host", "127.0.0.1", "--listen-port", str(port))
    assert (status, len(text.splitlines())) == (2, 1)
    assert f"127.0.0.1:{port}" in text

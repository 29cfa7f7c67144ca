import logging

import pytest
import structlog

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.operator.kopflog import KopfLog

NODES = "GET https://kube:6443/api/v1/nodes"
REFUSED = (
    "ClientConnectorError(ConnectionKey(host='kube'), ConnectionRefusedError(111, \"no way\"))"
)


@pytest.fixture
def lines():
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def handler() -> KopfLog:
    return KopfLog(ManualClock())


def say(handler: KopfLog, text: str, level: int = logging.ERROR) -> None:
    record = logging.LogRecord("kopf._cogs.clients.watching", level, "", 0, text, (), None)
    handler.handle(record)


def fail(handler: KopfLog, attempt: int, asked: str = NODES) -> None:
    text = f"Request attempt #{attempt}/454 failed; will retry: {asked}?watch=true -> {REFUSED}"
    say(handler, text)


def succeed(handler: KopfLog, asked: str = NODES) -> None:
    say(handler, f"Request attempt #4 succeeded: {asked}?watch=true", logging.DEBUG)


def test_many_attempts_of_a_request_are_one_line_and_its_success_another(lines, handler):
    for attempt in range(3):
        fail(handler, attempt)
    assert handler.trouble == f"{NODES}: ClientConnectorError: no way"
    succeed(handler)
    assert handler.trouble is None
    assert [line["event"] for line in lines] == ["watch_failing", "watch_failing_recovered"]
    assert lines[0]["error"] == f"{NODES}: ClientConnectorError: no way"


def test_the_trouble_is_over_when_every_request_has_succeeded(lines, handler):
    fail(handler, 1)
    fail(handler, 1, "GET https://kube:6443/apis")
    succeed(handler)
    assert handler.trouble
    assert [line["event"] for line in lines] == ["watch_failing"]
    succeed(handler, "GET https://kube:6443/apis")
    assert handler.trouble is None


def test_other_warnings_are_passed_on_short_and_what_is_so_on_purpose_is_not(lines, handler):
    say(handler, "x" * 1000, logging.WARNING)
    say(handler, "OS signals are ignored: running not in the main thread.", logging.WARNING)
    say(handler, "Starting the watch-stream for nodes.v1 cluster-wide.", logging.DEBUG)
    assert [(line["event"], len(line["message"])) for line in lines] == [("kopf", 300)]


def test_a_kopf_that_ended_leaves_no_trouble_behind(lines, handler):
    fail(handler, 1)
    handler.reset()
    assert handler.trouble is None


def test_a_failure_that_is_not_repeated_does_not_count_for_ever(lines):
    clock = ManualClock()
    handler = KopfLog(clock)
    fail(handler, 1)
    clock.advance(61)
    assert handler.trouble is None


def test_one_failure_that_several_of_kopfs_layers_tell_is_left_to_the_watcher(lines, handler):
    for name in ("orchestration", "running"):
        text = "Watcher for nodes.v1@none has failed: ('gone', {'code': 410})"
        record = logging.LogRecord(
            f"kopf._core.reactor.{name}", logging.ERROR, "", 0, text, (), None
        )
        assert (handler.ending() is None) == (name == "orchestration")
        handler.handle(record)
    assert lines == []
    assert handler.ending() == 0.0
    handler.reset()
    assert handler.ending() is None


def test_a_request_whose_session_kopf_closed_itself_is_no_trouble(lines, handler):
    say(handler, f"Request attempt #1/454 failed; TCP closed; will re-authenticate: {NODES}?a=b")
    assert (lines, handler.trouble) == ([], None)

import json
import logging
import subprocess
import sys

import pytest
import structlog
from aiohttp.http_exceptions import LineTooLong

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.telemetry.log import Repeat, RepeatLog, Suppressor, configure, get_logger


@pytest.fixture(autouse=True)
def _root_logger_as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_an_event_is_one_json_line_on_stderr_with_level_time_and_logger(
    capsys: pytest.CaptureFixture[str],
):
    configure("info", "json")
    get_logger("agent").info("heartbeat_sent", seq=3)
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert out == ""
    assert {"event": "heartbeat_sent", "seq": 3, "level": "info", "logger": "agent"}.items() <= (
        line.items()
    )
    assert line["time"].endswith("Z")


def test_an_event_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]):
    configure("warning", "json")
    get_logger("agent").info("quiet")
    assert capsys.readouterr().err == ""


def test_a_library_that_uses_standard_logging_is_written_as_json_too(
    capsys: pytest.CaptureFixture[str],
):
    configure("info", "json")
    logging.getLogger("aiohttp.server").warning("bad %s", "request")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["logger"]) == (
        "bad request",
        "warning",
        "aiohttp.server",
    )


def test_an_exception_stays_on_the_one_line(capsys: pytest.CaptureFixture[str]):
    configure("info", "json")
    get_logger("agent").error("broke", exc_info=ValueError("first\nsecond"))
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ValueError" in json.loads(err)["exception"]


def test_nonsense_sent_to_an_open_port_is_not_told_and_a_defect_is(
    capsys: pytest.CaptureFixture[str],
):
    configure("info", "json")
    server = logging.getLogger("aiohttp.server")
    for error in (LineTooLong(b"x", 8190), KeyError("defect")):
        server.error("Error handling request", exc_info=error)
    (line,) = capsys.readouterr().err.splitlines()
    assert "KeyError" in json.loads(line)["exception"]


def test_the_first_failure_is_told_then_one_in_a_quarter_of_an_hour_then_the_recovery():
    clock = ManualClock()
    suppressor = Suppressor(clock)
    told = []
    for _ in range(61):
        told.append(suppressor.failed())
        clock.advance(30)
    assert [r for r in told if r] == [Repeat(1, 0), Repeat(31, 900), Repeat(61, 1800)]
    assert suppressor.recovered() == Repeat(61, 1830)
    assert suppressor.recovered() is None
    assert suppressor.failed() == Repeat(1, 0)


def test_a_lasting_trouble_is_logged_with_count_and_duration(capsys: pytest.CaptureFixture[str]):
    configure("info", "json")
    clock = ManualClock()
    trouble = RepeatLog(get_logger("x"), "publish_failed", clock=clock)
    trouble.recovered()
    trouble.failed(error="refused")
    clock.advance(60)
    trouble.failed(error="refused")
    trouble.recovered()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(x["event"], x["count"], x["seconds"]) for x in lines] == [
        ("publish_failed", 1, 0.0),
        ("publish_failed_recovered", 2, 60.0),
    ]


def test_logging_does_not_load_rich_and_leaves_it_importable():
    code = (
        "import sys, citadel_k8s.telemetry.log\n"
        "assert not [m for m in sys.modules if m.startswith('rich')]\n"
        "import rich\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)

"""What is kept of a request: lines, counts, rows of the audit log."""

import asyncio
import json
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter
from structlog.testing import capture_logs

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.frame import auditing
from citadel_k8s.api.frame.auditing import Auditor, AuditRow
from citadel_k8s.api.frame.refusal import forbidden
from citadel_k8s.api.frame.route import ANYONE, PUBLIC, Call, Route, person
from citadel_k8s.errors import DatabaseError
from citadel_k8s.models.identity import Role
from tests.unit.api.frame.serving import serving


async def nothing(_call: Call) -> None:
    return None


async def test_a_line_names_the_route_and_the_caller_and_holds_no_secret():
    async with serving([Route("GET", "/things/{name}", nothing, "A.", ANYONE, "test")]) as api:
        with capture_logs() as logs:
            await api.ask("/things/secret-1?token=secret-2", headers={"Cookie": "c=secret-3"})
    (line,) = [line for line in logs if line["event"] == "request"]
    assert line["route"] == "/things/{name}"
    assert (line["method"], line["status"], line["subject"]) == ("GET", 400, "token:1")
    assert line["address"] == "127.0.0.1"
    assert line["bytes"] > 0
    assert line["request_id"]
    assert "secret" not in json.dumps(line)
    assert "device" not in json.dumps(line)


async def test_successes_are_logged_one_in_so_many_and_troubles_each_time():
    calls = iter(range(100))

    async def handler(_call: Call) -> None:
        if next(calls) in {3, 4}:
            raise forbidden("no")

    async with serving([Route("GET", "/x", handler, "A.", ANYONE, "test", log_every=4)]) as api:
        with capture_logs() as logs:
            for _ in range(10):
                await api.ask("/x")
    lines = [line["status"] for line in logs if line["event"] == "request"]
    assert lines == [403, 403, 204, 204]


async def test_requests_are_counted_by_template_and_paths_that_nobody_serves_are_one_series():
    async with serving([Route("GET", "/things/{name}", nothing, "A.", PUBLIC, "test")]) as api:
        for path in ("/things/a", "/things/b", "/made/up/1", "/made/up/2"):
            await api.ask(path, who=None)
        async with api.client.get(
            f"http://127.0.0.1:{api.service.metrics_port}/metrics"
        ) as response:
            text = await response.text()
        outside = await api.ask("/metrics")
    line = 'citadel_api_requests_total{method="GET",route="/things/{name}",status="204"} 2.0'
    assert line in text
    assert 'citadel_api_requests_total{method="none",route="none",status="404"} 2.0' in text
    assert "citadel_api_request_seconds_bucket" in text
    assert "citadel_api_requests_in_flight 0.0" in text
    assert outside[0] == 404


def audited(handler: object, **more: object) -> Route:
    return Route(
        "DELETE",
        "/nodes/{node_id}",
        handler,  # type: ignore[arg-type]
        "A test.",
        person(Role.ADMIN),
        "test",
        audit="node.remove",
        **more,  # type: ignore[arg-type]
    )


async def told(call: Call) -> None:
    call.notes["detail"] = {"why": "old"}


async def broken(_call: Call) -> None:
    raise KeyError("secret")


async def test_a_change_leaves_a_row_of_who_did_what_and_what_came_of_it():
    async with serving([audited(told)]) as api:
        await api.ask("/nodes/gpu-1", "DELETE", who="admin")
        await api.ask("/nodes/gpu-1", "DELETE", who="viewer")
        await api.ask("/nodes/gpu-1", "DELETE", who=None)
    done, refused = api.rows
    assert (done.action, done.target, done.outcome) == ("node.remove", "gpu-1", "done")
    assert (done.subject, done.org_id, done.address) == ("user:2", "acme", "127.0.0.1")
    assert done.detail == {"why": "old"}
    assert done.request_id
    assert (refused.subject, refused.outcome) == ("user:1", "refused")


async def test_a_change_that_fails_leaves_a_row_too():
    async with serving([audited(broken)]) as api:
        await api.ask("/nodes/gpu-1", "DELETE", who="admin")
    assert [row.outcome for row in api.rows] == ["failed"]


async def test_a_handler_may_have_noted_what_its_route_does_not():
    async def liar(call: Call) -> None:
        call.notes |= {"audit": "node.impersonated", "target": "gpu-9"}
        raise forbidden("that is another node")

    async with serving([Route("POST", "/x", liar, "A.", ANYONE, "test")]) as api:
        await api.ask("/x", "POST")
    (row,) = api.rows
    assert (row.action, row.target, row.outcome) == ("node.impersonated", "gpu-9", "refused")


class Log:
    """An audit log that fails as told."""

    def __init__(self) -> None:
        self.rows: list[AuditRow] = []
        self.error: Exception | None = None
        self.asked = asyncio.Event()

    async def append(self, rows: Sequence[AuditRow]) -> None:
        self.asked.set()
        if self.error is not None:
            raise self.error
        self.rows += rows


def row(number: int) -> AuditRow:
    return AuditRow(1.0, "acme", "user:1", "a", str(number), "done", "1.1.1.1", "r")


def auditor(log: Log) -> tuple[Auditor, Counter]:
    lost = Counter("lost", "x", registry=CollectorRegistry())
    return Auditor(log.append, ManualClock(), lost), lost


async def test_rows_wait_for_a_database_that_is_away_and_go_in_order(monkeypatch):
    monkeypatch.setattr(auditing, "PAUSE", 0)
    monkeypatch.setattr(auditing, "RETRY", 0)
    monkeypatch.setattr(auditing, "BATCH", 2)
    log = Log()
    writer, lost = auditor(log)
    log.error = DatabaseError("away")
    for number in range(5):
        writer.note(row(number))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(writer.run())
        await log.asked.wait()
        log.error = None
        async with asyncio.timeout(5):
            while len(log.rows) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0)
        running.cancel()
    assert [one.target for one in log.rows] == list("01234")
    assert lost._value.get() == 0


async def test_the_oldest_rows_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(auditing, "ROWS_KEPT", 2)
    log = Log()
    writer, lost = auditor(log)
    for number in range(3):
        writer.note(row(number))
    await writer.finish()
    assert [one.target for one in log.rows] == ["1", "2"]
    assert lost._value.get() == 1


async def test_a_row_that_cannot_be_written_does_not_keep_the_others(monkeypatch):
    monkeypatch.setattr(auditing, "BATCH", 1)
    log = Log()
    writer, lost = auditor(log)
    log.error = ValueError("odd")
    writer.note(row(1))
    await writer.finish()
    log.error = None
    writer.note(row(2))
    await writer.finish()
    assert [one.target for one in log.rows] == ["2"]
    assert lost._value.get() == 1


async def test_at_the_end_what_cannot_be_written_is_lost_and_counted():
    log = Log()
    writer, lost = auditor(log)
    log.error = DatabaseError("away")
    writer.note(row(1))
    await writer.finish()
    assert lost._value.get() == 1

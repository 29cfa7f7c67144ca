import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from citadel_k8s.agent import access, http
from citadel_k8s.agent.access import Access
from citadel_k8s.agent.board import Board
from citadel_k8s.agent.http import StatusServer
from citadel_k8s.agent.vitals import Vitals
from citadel_k8s.aio.outbox import Freshness
from citadel_k8s.domain.report import Moment, Speaker
from citadel_k8s.models.readings import Failed, Gpu, Gpus, Host, Reading
from citadel_k8s.models.wire import CollectorInfo, ConfigInfo
from citadel_k8s.telemetry.agent_metrics import AgentMetrics, Exposed

SPEAKER = Speaker("n1", "n1", "boot-1", 30.0, "1.2.3")


class Site:
    """A served agent with a knob for everything around it."""

    def __init__(self, access: Access | None = None) -> None:
        self.freshness = Freshness()
        self.refreshed = 0
        self.hang = False
        self.board = Board(SPEAKER, lambda: Moment(1_795_420_800.0, 1000.0, 1.0))
        self.url = ""
        vitals = Vitals(lambda: self.freshness, seq=lambda: 4)
        metrics = AgentMetrics(self._exposed)
        self.server = StatusServer(self.board, vitals, metrics, self._refresh, access)

    def learn(self, used: int = 1024**2) -> None:
        gpu = Gpu(0, uuid="GPU-0", health="ok", memory_used_bytes=used)
        self.board.learn_host(Reading(Host()), 0)
        self.board.learn_gpus(Reading(Gpus("575", (gpu,))), 0)
        self.board.learn_engines(Failed("x", "y"), 0)

    async def _refresh(self) -> None:
        self.refreshed += 1
        if self.hang:
            await asyncio.sleep(3600)
        self.learn(self.refreshed * 100 * 1024**2)

    def _exposed(self) -> Exposed:
        return Exposed(
            SPEAKER, self.board.snapshot, self.board.moment(), self.freshness, "redis", 0, 0.0
        )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with served(Site()) as site:
        yield site


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[Site]:
    port = await site.server.start("127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{port}"
    try:
        yield site
    finally:
        await site.server.close()


async def get(
    site: Site, path: str, method: str = "GET", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, site.url + path, headers=headers) as response,
    ):
        text = await response.text()
        is_json = response.content_type == "application/json"
        return response.status, json.loads(text) if is_json and text else text, response.headers


async def test_status_is_the_whole_message_and_names_who_answers(site: Site):
    site.learn()
    status, message, _ = await get(site, "/status")
    assert status == 200
    assert (message["nodeId"], message["bootId"], message["seq"]) == ("n1", "boot-1", 4)
    assert message["status"]["gpu"][0]["memory_used_mb"] == 1


async def test_status_is_given_from_a_cache_for_a_second(site: Site):
    site.learn()
    _, first, _ = await get(site, "/status")
    site.learn(50 * 1024**2)
    _, second, _ = await get(site, "/status")
    assert second == first
    assert site.refreshed == 0


async def test_status_is_read_anew_when_that_is_asked_for(site: Site):
    site.learn()
    await get(site, "/status")
    _, message, _ = await get(site, "/status?fresh=1")
    assert site.refreshed == 1
    assert message["status"]["gpu"][0]["memory_used_mb"] == 100


async def test_who_asks_for_a_fresh_status_without_end_gets_one_reading_a_second(site: Site):
    for _ in range(20):
        await get(site, "/status?fresh=1")
    assert site.refreshed == 1


async def test_a_source_that_hangs_does_not_hold_a_fresh_status_for_ever(site: Site):
    site.learn()
    site.hang = True
    loop = asyncio.get_running_loop()
    started = loop.time()
    status, message, _ = await get(site, "/status?fresh=1")
    assert status == 200
    assert message["status"]["gpu"][0]["memory_used_mb"] == 1
    assert loop.time() - started < 4


async def test_health_is_ok_and_says_that_nothing_is_known_of_the_way_out(site: Site):
    status, body, _ = await get(site, "/health")
    assert (status, body["status"], body["version"], body["nodeId"]) == (200, "ok", "1.2.3", "n1")
    assert body["heartbeat"] == {
        "state": "unknown",
        "lastSuccess": None,
        "lastAttempt": None,
        "consecutiveFailures": 0,
        "lastError": None,
    }


async def test_health_stays_200_and_tells_of_a_way_out_that_fails(site: Site):
    site.freshness = Freshness(1_795_420_800.0, 1_795_420_830.0, 3, "refused")
    status, body, _ = await get(site, "/health")
    assert status == 200
    assert body["heartbeat"]["state"] == "failing"
    assert body["heartbeat"]["lastSuccess"] == "2026-11-23T08:00:00+00:00"
    assert body["heartbeat"]["lastError"] == "refused"


async def test_ready_begins_with_the_first_answers_of_all_sources(site: Site):
    assert (await get(site, "/health/ready"))[0] == 503
    site.learn()
    assert (await get(site, "/health/ready"))[:2] == (200, {"ready": True})


async def test_live_depends_on_nothing_but_the_loop(site: Site):
    status, body, _ = await get(site, "/health/live")
    assert (status, body["live"]) == (200, True)


@pytest.mark.parametrize("path", ["/status", "/health", "/metrics", "/nothing"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_whatever_would_change_something_is_not_allowed(site: Site, path: str, method: str):
    status, body, headers = await get(site, path, method)
    assert status == 405
    assert method in body["error"]
    assert headers["Allow"] == "GET, HEAD"


async def test_a_path_that_does_not_exist_is_a_json_error(site: Site):
    assert (await get(site, "/nothing"))[:2] == (404, {"error": "Not Found"})


async def test_metrics_are_served_in_the_format_that_is_asked_for(site: Site):
    site.learn()
    _, body, headers = await get(site, "/metrics")
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert "citadel_gpu_memory_used_bytes" in body


async def test_a_head_request_gets_no_body(site: Site):
    status, body, _ = await get(site, "/health", "HEAD")
    assert (status, body) == (200, "")


async def test_a_status_that_tells_nothing_new_is_not_sent_again(site: Site):
    site.learn()
    _, _, headers = await get(site, "/status")
    tag = headers["ETag"]
    status, body, headers = await get(site, "/status", **{"If-None-Match": tag})
    assert (status, body, headers["ETag"]) == (304, "", tag)
    await get(site, "/status?fresh=1")
    assert (await get(site, "/status", **{"If-None-Match": tag}))[0] == 200


async def test_the_parts_of_a_status_can_be_asked_for_alone(site: Site):
    site.learn()
    _, status, _ = await get(site, "/status")
    assert (await get(site, "/services"))[1] == {"services": status["status"].get("services")}
    assert (await get(site, "/resources"))[1]["gpu"] == status["status"]["gpu"]


async def test_a_node_without_a_job_worker_does_not_pretend_to_have_a_stuck_one(site: Site):
    assert (await get(site, "/worker"))[:2] == (200, {"worker": None, "reason": "NoJobWorker"})


async def test_a_ping_is_answered_with_the_date(site: Site):
    answer = {"status": "pong", "timestamp": "2026-11-23T08:00:00Z"}
    assert (await get(site, "/ping"))[:2] == (200, answer)


PROTECTED = ("/status", "/services", "/resources", "/worker", "/metrics", "/nothing")


async def test_with_a_token_only_its_bearers_are_told_of_the_node(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    async with served(Site(Access(token_file=file))) as site:
        for path in PROTECTED:
            assert (await get(site, path))[0] == 401, path
            assert (await get(site, path, Authorization="Bearer wrong"))[0] == 401, path
            assert (await get(site, path, Authorization="Basic s3cret"))[0] == 401, path
        status, _, _ = await get(site, "/status", Authorization="Bearer s3cret")
        assert status == 200


async def test_with_a_token_health_stays_open_and_tells_nothing_of_the_node(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("s3cret")
    async with served(Site(Access(token_file=file))) as site:
        assert (await get(site, "/health"))[:2] == (200, {"status": "ok", "version": "1.2.3"})
        assert (await get(site, "/health/live"))[0] == 200
        assert (await get(site, "/ping"))[0] == 200
        full = await get(site, "/health", Authorization="Bearer s3cret")
        assert full[1]["nodeId"] == "n1"


async def test_a_token_that_is_replaced_counts_from_the_next_request_on(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("old")
    async with served(Site(Access(token_file=file))) as site:
        file.write_text("new")
        assert (await get(site, "/status", Authorization="Bearer old"))[0] == 401
        assert (await get(site, "/status", Authorization="Bearer new"))[0] == 200
        file.unlink()
        assert (await get(site, "/status", Authorization="Bearer new"))[0] == 401


async def test_a_token_of_bytes_that_are_no_text_is_refused_like_any_other(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("s3cret")
    async with served(Site(Access(token_file=file))) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(site.url.split(":")[2]))
        writer.write(b"GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")
        answer = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
    assert b" 401 " in answer or b" 400 " in answer


@pytest.mark.parametrize(
    "target",
    [
        "//health", "/health/../status", "/health/%2e%2e/status", "/health%2f..%2fstatus",
        "/STATUS", "//status", "/status/", "/status;/health", "/%73tatus", "http://x/status",
        "/status?x=/health", "/ping/../metrics", "/health\\..\\status", "/status#/health",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "get"])
async def test_no_spelling_of_a_path_leads_past_the_token(tmp_path: Path, method: str, target: str):
    file = tmp_path / "token"
    file.write_text("s3cret")
    async with served(Site(Access(token_file=file))) as site:
        site.learn()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(site.url.split(":")[2]))
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.split()[1] in {b"400", b"401", b"404", b"405"}
    assert b"bootId" not in answer


async def test_a_pipe_in_the_place_of_the_token_lets_nobody_in_and_holds_nobody_up(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("s3cret")
    async with served(Site(Access(token_file=file))) as site:
        file.unlink()
        os.mkfifo(file)
        async with asyncio.timeout(3):
            assert (await get(site, "/status", Authorization="Bearer s3cret"))[0] == 401
            assert (await get(site, "/status", Authorization="Bearer "))[0] == 401


async def test_what_is_told_beside_the_readings_is_a_new_revision_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http, "STATUS_CACHE_SECONDS", 0.0)
    site.learn()
    _, _, headers = await get(site, "/status")
    again = {"If-None-Match": headers["ETag"]}
    assert (await get(site, "/status", **again))[0] == 304
    site.board.config = lambda: ConfigInfo(revision="r1")
    status, message, headers = await get(site, "/status", **again)
    assert (status, message["status"]["config"]["revision"]) == (200, "r1")
    again = {"If-None-Match": headers["ETag"]}
    notice = CollectorInfo(name="identity", state="failed", reason="DuplicateAgent")
    site.board.notices = lambda: (notice,)
    assert (await get(site, "/status", **again))[0] == 200


async def test_a_token_on_a_disk_that_hangs_lets_nobody_in_and_holds_no_probe_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file, gate = tmp_path / "token", threading.Event()
    file.write_text("s3cret")
    site = Site(Access(token_file=file))
    monkeypatch.setattr(access, "_token", lambda _file: gate.wait(10) and b"s3cret")
    async with served(site), asyncio.TaskGroup() as group:
        asked = group.create_task(get(site, "/status", Authorization="Bearer s3cret"))
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            assert (await get(site, "/health/live"))[0] == 200
        assert not asked.done()
        assert (await asked)[0] == 401
        gate.set()
        assert (await get(site, "/status", Authorization="Bearer s3cret"))[0] == 200

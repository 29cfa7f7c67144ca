"""When the API calls itself ready."""

import asyncio

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.frame import probes
from citadel_k8s.api.frame.probes import Readiness
from citadel_k8s.errors import DatabaseError, StreamError
from tests.unit.api.frame.serving import serving


async def well() -> None:
    return None


async def no_database() -> None:
    raise DatabaseError("PostgreSQL at secret-host: down")


async def no_redis() -> None:
    raise StreamError("Redis at secret-host: down")


async def test_alive_is_whoever_answers_and_ready_whose_database_does():
    async with serving([], needed={"database": well}, told={"redis": no_redis}) as api:
        assert (await api.ask("/healthz", who=None))[:2] == (200, {"ok": True})
        status, body, _ = await api.ask("/readyz", who=None)
        assert (status, body["ok"]) == (200, True)
        assert body["parts"] == {"database": True, "redis": False}


async def test_without_its_database_it_is_alive_and_not_ready_on_both_ports():
    async with serving([], needed={"database": no_database}) as api:
        assert (await api.ask("/healthz", who=None))[0] == 200
        status, body, _ = await api.ask("/readyz", who=None)
        assert (status, body) == (503, {"ok": False, "parts": {"database": False}})
        base = f"http://127.0.0.1:{api.service.metrics_port}"
        async with api.client.get(f"{base}/readyz") as response:
            assert response.status == 503
        async with api.client.get(f"{base}/healthz") as response:
            assert response.status == 200


async def test_a_check_that_hangs_counts_as_failed(monkeypatch):
    monkeypatch.setattr(probes, "CHECK_SECONDS", 0.01)

    async def hang() -> None:
        await asyncio.Event().wait()

    verdict = await Readiness({"database": hang}, {}, ManualClock()).verdict()
    assert verdict == {"ok": False, "parts": {"database": False}}


async def test_many_who_ask_at_once_cost_one_look():
    looks: list[int] = []

    async def look() -> None:
        looks.append(1)
        await asyncio.sleep(0)

    clock = ManualClock()
    readiness = Readiness({"database": look}, {}, clock)
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(readiness.verdict())
    assert len(looks) == 1
    clock.advance(2)
    await readiness.verdict()
    assert len(looks) == 2

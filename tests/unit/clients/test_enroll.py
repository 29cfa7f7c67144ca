import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from citadel_k8s.clients.enroll import enroll
from citadel_k8s.clients.enrolment import EnrolError, Enrolment
from citadel_k8s.errors import ConfigError
from tests.proxy import POLL, START, FakeProxy, running

pytestmark = pytest.mark.looptime

GRANT = {
    "device_code": "dev-secret",
    "user_code": "ABCD-1234",
    "verification_uri": "https://elsewhere.example.org/device",
    "verification_uri_complete": "https://elsewhere.example.org/device?code=ABCD-1234",
    "expires_in": 600,
    "interval": 5,
}

YES = {
    "authkey": "mesh-secret",
    "expires_in": 3600,
    "device_api_token": "proxy-secret",
    "org_id": "acme",
    "org_name": "Acme GmbH",
    "user_email": "me@example.org",
    "user_name": "Me",
    "redis_url": "redis://deprecated",
}

PENDING = {"error": "authorization_pending"}


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + asyncio.get_running_loop().time()


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    async with running() as started:
        started.tell(START, 200, dict(GRANT), times=1)
        started.authorized = dict(YES)
        yield started


async def enrolled(proxy: FakeProxy, told: list[str] | None = None, **more: Any) -> Enrolment:
    lines: list[str] = [] if told is None else told
    return await enroll(
        proxy.base, "gpu-1", "machine-1", tell=lines.append, clock=LoopClock(), **more
    )


async def failure(proxy: FakeProxy) -> str:
    with pytest.raises(EnrolError) as caught:
        await enrolled(proxy)
    assert "secret" not in str(caught.value)
    return str(caught.value)


def polls(proxy: FakeProxy) -> list[float]:
    times = [seen.at for seen in proxy.asked(POLL)]
    return [b - a for a, b in itertools.pairwise(times)]


async def test_a_device_is_enrolled_once_somebody_says_yes(proxy: FakeProxy):
    proxy.tell(POLL, 400, PENDING, times=3)
    told: list[str] = []
    enrolment = await enrolled(proxy, told)
    assert enrolment == Enrolment(
        authkey="mesh-secret",
        device_api_token="proxy-secret",
        api_base_url=proxy.base,
        org_id="acme",
        org_name="Acme GmbH",
        user_email="me@example.org",
        user_name="Me",
    )
    assert "secret" not in repr(enrolment)
    assert told == [
        f"Open {proxy.base}/device?code=ABCD-1234 in a browser and confirm the code ABCD-1234."
    ]
    (start,) = proxy.asked(START)
    assert start.body == {
        "client_id": "citadel-cli",
        "client_version": "1.0.0",
        "hostname": "gpu-1",
        "machine_id": "machine-1",
    }
    assert proxy.asked(POLL)[0].body == {
        "device_code": "dev-secret",
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
    }
    assert polls(proxy) == pytest.approx([5, 5, 5], abs=0.1)
    assert "Authorization" not in start.headers


async def test_what_is_not_known_is_not_sent_and_a_new_device_can_be_asked_for(proxy: FakeProxy):
    await enroll(proxy.base, "", "", tell=print, clock=LoopClock(), force_new=True)
    assert proxy.asked(START)[0].body == {
        "client_id": "citadel-cli",
        "client_version": "1.0.0",
        "force_new": True,
    }


async def test_a_session_of_the_caller_is_used_and_left_open(proxy: FakeProxy):
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}) as session:
        await enrolled(proxy, session=session)
        assert not session.closed
    assert proxy.asked(START)[0].headers["X-Mine"] == "1"


async def test_slow_down_adds_five_seconds_for_good(proxy: FakeProxy):
    proxy.tell(POLL, 400, {"error": "slow_down"}, times=2)
    proxy.tell(POLL, 400, PENDING, times=1)
    await enrolled(proxy)
    assert polls(proxy) == pytest.approx([10, 15, 15], abs=0.1)


async def test_what_is_not_answered_is_asked_less_often_and_then_as_before(proxy: FakeProxy):
    proxy.tell(POLL, 502, "bad gateway", times=2)
    proxy.tell(POLL, 400, PENDING, times=1)
    await enrolled(proxy)
    assert polls(proxy) == pytest.approx([10, 20, 5], abs=0.1)


async def test_an_outage_while_waiting_is_sat_out(proxy: FakeProxy):
    async with asyncio.TaskGroup() as group:
        proxy.tell(POLL, 400, PENDING, times=2)
        waiting = group.create_task(enrolled(proxy))
        await asyncio.sleep(7)
        port = proxy.port
        await proxy.stop()
        await asyncio.sleep(60)
        await proxy.start(port)
    assert waiting.result().org_id == "acme"


async def test_a_429_while_waiting_is_honoured_in_full(proxy: FakeProxy):
    proxy.tell(POLL, 429, {"error": "rate", "retry_after": 200}, times=1)
    await enrolled(proxy)
    assert polls(proxy) == pytest.approx([200], abs=0.1)


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (400, "expired_token", "start again"),
        (400, "access_denied", "refused in the browser"),
        (400, "invalid_grant", "status 400: invalid_grant"),
        (401, "invalid_client", "status 401: invalid_client"),
        (404, "slow_down", "status 404"),
        (302, "", "status 302"),
    ],
)
async def test_every_other_refusal_is_the_end(proxy: FakeProxy, status: int, error: str, text: str):
    proxy.tell(POLL, status, {"error": error})
    assert text in await failure(proxy)
    assert len(proxy.asked(POLL)) == 1


@pytest.mark.parametrize(("expires", "bound"), [(60, 60), (9999, 600), (None, 600), ("x", 600)])
async def test_it_is_given_up_when_the_code_runs_out(proxy: FakeProxy, expires: Any, bound: float):
    proxy.forgive(START)
    proxy.tell(START, 200, {**GRANT, "expires_in": expires})
    proxy.tell(POLL, 400, PENDING)
    started = asyncio.get_running_loop().time()
    assert "in time" in await failure(proxy)
    assert asyncio.get_running_loop().time() - started <= bound


@pytest.mark.parametrize("interval", [0, -1, None, "x", float("nan"), int("9" * 99)])
async def test_an_interval_that_makes_no_sense_is_bounded(proxy: FakeProxy, interval: Any):
    proxy.forgive(START)
    proxy.tell(START, 200, {**GRANT, "interval": interval})
    proxy.tell(POLL, 400, PENDING, times=3)
    await enrolled(proxy)
    assert all(1 <= gap < 61 for gap in polls(proxy))


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (503, {"error": "off"}, "no enrolments just now"),
        (429, {"error": "many", "retry_after": 61.5}, "try again in 62 s"),
        (429, "", "try again later"),
        (201, GRANT, "status 201"),
        (204, "", "status 204"),
        (307, "", "status 307"),
        (403, {"error": "no", "error_description": "not you"}, "no: not you"),
        (200, "<html>", "status 200"),
        (200, {}, "no user_code"),
        (200, {"user_code": "A"}, "no device_code"),
        (200, {**GRANT, "device_code": 7}, "device_code that is no text"),
        (200, {**GRANT, "user_code": "A" * 5000}, "user_code that is no text"),
        (200, "x" * 100_000, "over 65536 bytes"),
    ],
)
async def test_a_start_that_does_not_succeed_says_why(
    proxy: FakeProxy, status: int, body: Any, text: str
):
    proxy.forgive(START)
    proxy.tell(START, status, body)
    assert text in await failure(proxy)
    assert not proxy.asked(POLL)


async def test_a_platform_that_does_not_answer_is_an_error(proxy: FakeProxy):
    proxy.forgive(START)
    proxy.tell(START, hang=True)
    assert "no answer within 10 s" in await failure(proxy)
    await proxy.stop()
    assert f"POST {START}: " in await failure(proxy)


@pytest.mark.parametrize("body", [{}, {**YES, "authkey": ""}, {**YES, "authkey": None}, "yes"])
async def test_a_yes_without_an_authkey_is_none(proxy: FakeProxy, body: Any):
    proxy.tell(POLL, 200, body)
    assert "no authkey" in await failure(proxy)


async def test_a_yes_of_another_shape_is_an_error(proxy: FakeProxy):
    proxy.authorized["org_id"] = 7
    assert "org_id" in await failure(proxy)


async def test_the_proxy_can_be_elsewhere_but_not_in_clear(proxy: FakeProxy):
    proxy.authorized["api_base_url"] = "https://api.example.org/"
    assert (await enrolled(proxy)).api_base_url == "https://api.example.org"
    proxy.tell(START, 200, dict(GRANT))
    proxy.authorized["api_base_url"] = "http://api.example.org"
    with pytest.raises(ConfigError, match="in clear"):
        await enrolled(proxy)
    assert (await enrolled(proxy, insecure=True)).api_base_url == "http://api.example.org"


async def test_a_code_that_would_play_with_the_terminal_is_cleaned(proxy: FakeProxy):
    proxy.forgive(START)
    proxy.tell(START, 200, {**GRANT, "user_code": "A\x1b[2J\nB&x=1"})
    told: list[str] = []
    await enrolled(proxy, told)
    assert all(c.isprintable() for c in told[0])
    assert "&x" not in told[0].partition(" in a browser")[0]


async def test_an_address_in_clear_is_refused_before_anything_is_sent():
    with pytest.raises(ConfigError, match="in clear"):
        await enroll("http://aceteam.example", "h", "m", tell=print, clock=LoopClock())

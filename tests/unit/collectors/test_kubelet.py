import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from citadel_k8s.collectors.kubelet import BODY_MAX, Kubelet
from citadel_k8s.collectors.podlist import NodePods
from citadel_k8s.config.agent import PodSource
from citadel_k8s.local import certs
from citadel_k8s.models.readings import Failed, Outcome, Reading
from tests.unit.collectors.podlists import POD, body, document

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ask = Callable[..., Awaitable[Outcome[NodePods]]]


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Ask]:
    """Ask a server with this handler, over TLS of the node's authority."""
    pki = certs.make(tmp_path / "pki")
    token = tmp_path / "token"
    token.write_text("first\n")
    (tmp_path / "ca.crt").write_bytes(pki.ca.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.certificate, pki.server.key)
    running: list[TestServer] = []

    async def asked(
        handler: Handler, *, times: int = 1, deadline: float = 5.0, **source: Path
    ) -> Outcome[NodePods]:
        app = web.Application()
        app.router.add_get("/pods", handler)
        server = TestServer(app)
        running.append(server)
        await server.start_server(ssl=context, shutdown_timeout=0.1)
        kubelet = Kubelet(
            f"https://127.0.0.1:{server.port}/",
            PodSource.model_validate({"token_file": token} | source, by_name=True),
            deadline=deadline,
        )
        try:
            for _ in range(times):
                outcome = await kubelet.collect()
                token.write_text("second\n")
        finally:
            await kubelet.close()
        return outcome

    yield asked
    for server in running:
        await server.close()


def says(data: bytes, status: int = 200) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=data, status=status)

    return handler


async def hangs(_request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    raise AssertionError


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(BODY_MAX // 65536 + 2):
        await response.write(bytes(65536))
    return response


async def test_the_kubelet_is_asked_with_the_token_of_the_moment(ask: Ask) -> None:
    tokens: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        tokens.append(request.headers["Authorization"])
        return web.Response(body=body(document()))

    assert await ask(handler, times=2) == Reading(NodePods((POD,), frozenset()))
    assert tokens == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("handler", "reason", "part"),
    [
        (says(b"", 401), "Unauthorized", "token"),
        (says(b"", 403), "NoPermission", "nodes/pods"),
        (says(b"", 500), "KubeletUnreadable", "500"),
        (says(b"", 302), "KubeletUnreadable", "302"),
        (says(b"{"), "KubeletUnreadable", "JSON"),
        (says(b'{"items": [' + b"[" * 100_000), "KubeletUnreadable", "Recursion"),
        (endless, "KubeletUnreadable", "more than"),
    ],
    ids=["401", "403", "500", "redirect", "no JSON", "deep", "endless"],
)
async def test_a_kubelet_that_says(handler: Handler, reason: str, part: str, ask: Ask) -> None:
    outcome = await ask(handler)
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert part in outcome.message


async def test_a_kubelet_that_does_not_answer_is_left_in_time(ask: Ask) -> None:
    outcome = await ask(hangs, deadline=0.2)
    assert outcome == Failed("KubeletTimeout", "no answer within 0.2 s")


async def test_a_certificate_of_another_authority_is_not_trusted(ask: Ask, tmp_path: Path) -> None:
    other = certs.make(tmp_path / "other")
    outcome = await ask(says(body()), ca_file=other.ca)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "KubeletUntrusted"
    assert "caFile" in outcome.message


@pytest.mark.parametrize("what", ["token_file", "ca_file"])
async def test_a_missing_file_is_told(what: str, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "ca.crt").write_text("")
    outcome = await ask(says(body()), **{what: tmp_path / "gone" / "nothing"})
    assert isinstance(outcome, Failed)
    assert outcome.reason == "KubeletCredentials"
    assert "nothing" in outcome.message or "ca.crt" in outcome.message


async def test_a_kubelet_that_is_not_there(tmp_path: Path, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    kubelet = Kubelet(url, PodSource(token_file=tmp_path / "none"))
    outcome = await kubelet.collect()
    await kubelet.close()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "KubeletUnreachable"


async def test_no_token_goes_out_in_the_clear(tmp_path: Path) -> None:
    seen: list[bool] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append("Authorization" in request.headers)
        return web.Response(body=body())

    app = web.Application()
    app.router.add_get("/pods", handler)
    server = TestServer(app)
    await server.start_server()
    (tmp_path / "token").write_text("secret")
    source = PodSource(token_file=tmp_path / "token")
    kubelet = Kubelet(f"http://127.0.0.1:{server.port}", source)
    assert await kubelet.collect() == Reading(NodePods((), frozenset()))
    await kubelet.close()
    await server.close()
    assert seen == [False]

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from citadel_k8s.errors import ConfigError
from citadel_k8s.local import certs
from citadel_k8s.publishers.proxy import ProxyClient
from citadel_k8s.publishers.token import token_value
from citadel_k8s.publishers.transport import ProxyError, Transport
from citadel_k8s.publishers.websocket import READ_DEADLINE, ProxySocket
from tests.proxy import TOKEN, FakeProxy, running

pytestmark = pytest.mark.looptime


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> certs.Pki:
    return certs.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def proxy(pki: certs.Pki) -> AsyncIterator[FakeProxy]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.server.certificate, pki.server.key)
    async with running(context) as started:
        yield started


def client_of(proxy: FakeProxy, ca_file: Path | None) -> ProxyClient:
    return ProxyClient(Transport(proxy.base, token_value(TOKEN), ca_file=ca_file))


async def test_a_proxy_that_nobody_vouches_for_gets_no_token(proxy: FakeProxy):
    client = client_of(proxy, None)
    for call in (client.ping(), client.upgrade()):
        with pytest.raises(ProxyError, match="certificate verify failed"):
            await call
    assert not proxy.seen
    await client.close()


async def test_a_private_authority_is_trusted_when_it_is_named(proxy: FakeProxy, pki: certs.Pki):
    client = client_of(proxy, pki.ca)
    await client.append("s", {"k": "v"}, 10)
    wire = await client.upgrade()
    await wire.close()
    assert proxy.streams["s"] == [{"k": "v"}]
    await client.close()


async def test_a_half_open_connection_under_tls_is_cut_too(proxy: FakeProxy, pki: certs.Pki):
    client = client_of(proxy, pki.ca)
    states: list[str | None] = []
    socket = ProxySocket(client.upgrade, on_state=states.append, jitter=lambda: 0.0)
    async with asyncio.TaskGroup() as group:
        job = group.create_task(socket.run())
        await asyncio.sleep(1)
        proxy.deaf = True
        first = proxy.sockets[0]
        await asyncio.sleep(READ_DEADLINE)
        assert first not in proxy.sockets
        assert states[1] == f"nothing came for {READ_DEADLINE:g} s"
        await asyncio.sleep(2)
        assert socket.connected
        job.cancel()
    await client.close()
    await asyncio.sleep(1)
    assert not proxy.sockets


def test_certificates_that_cannot_be_read_are_refused(tmp_path: Path):
    (tmp_path / "empty").write_text("")
    for name in ("none", "empty"):
        with pytest.raises(ConfigError, match=f"CA file .*{name}"):
            Transport("https://h", token_value(TOKEN), ca_file=tmp_path / name)

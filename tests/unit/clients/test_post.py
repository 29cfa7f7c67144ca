import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from citadel_k8s.clients.alertmanager import Alertmanager
from citadel_k8s.clients.post import ANSWER_MAX, DeliveryError, Poster, masked
from citadel_k8s.local import certs
from tests.receivers import OK, Answer, answer, receiving

SECRET = "/services/T000/B000/verysecret?token=abc"


async def refused(said: Answer, *, timeout: float = 5.0, path: str = SECRET) -> DeliveryError:
    async with receiving(said) as receiver:
        poster = Poster(timeout)
        try:
            with pytest.raises(DeliveryError) as caught:
                await poster.post(receiver.url + path, b"{}")
        finally:
            await poster.close()
    text = str(caught.value)
    assert "verysecret" not in text
    assert "abc" not in text
    assert f"http://127.0.0.1:{receiver.port}" in text
    return caught.value


async def test_what_is_taken_is_sent_once_as_json() -> None:
    async with receiving() as receiver:
        poster = Poster()
        await poster.post(receiver.url + "/x", b'{"a":1}', {"X-Y": "z"})
        await poster.post(receiver.url + "/x", b"[]")
        await poster.close()
    assert [r.body for r in receiver.requests] == [b'{"a":1}', b"[]"]
    headers = receiver.requests[0].headers
    assert headers["content-type"] == "application/json"
    assert headers["x-y"] == "z"
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_what_is_refused_for_good_is_final(status: int) -> None:
    error = await refused(answer(status, body=b"no_service"))
    assert error.final
    assert f"{status}: no_service" in str(error)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_receiver_in_trouble_may_be_tried_again(status: int) -> None:
    error = await refused(answer(status))
    assert not error.final
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("asked", "wait"), [("7", 7), ("0", 0), ("99999999", 300), ("soon", None), ("-1", None)]
)
async def test_a_wait_that_is_asked_for_is_told_and_bounded(asked: str, wait: float | None) -> None:
    error = await refused(answer(429, f"Retry-After: {asked}\r\n"))
    assert error.retry_after == wait


async def test_a_server_that_quotes_what_it_was_asked_tells_no_secret() -> None:
    error = await refused(answer(404, body=f"Cannot POST {SECRET} on this server".encode()))
    assert "Cannot POST /services" not in str(error)
    assert "on this server" in str(error)


async def test_user_and_password_of_an_address_are_used_and_never_told() -> None:
    async with receiving(answer(401, body=b"you are not user:p4ssw0rd")) as receiver:
        poster = Poster()
        url = f"http://user:p4ssw0rd@127.0.0.1:{receiver.port}/x"
        with pytest.raises(DeliveryError) as caught:
            await poster.post(url, b"{}")
        await poster.close()
    assert receiver.requests[0].headers["authorization"] == "Basic dXNlcjpwNHNzdzByZA=="
    assert "p4ssw0rd" not in str(caught.value)


async def test_a_redirect_is_refused_and_not_followed() -> None:
    async with receiving() as elsewhere:
        location = f"Location: {elsewhere.url}/verysecret\r\n"
        for status in (301, 302, 307, 308):
            assert (await refused(answer(status, location))).final
        assert elsewhere.requests == []


async def test_a_receiver_that_stalls_is_given_up_in_time() -> None:
    async def stall(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2)

    began = asyncio.get_running_loop().time()
    error = await refused(stall, timeout=0.1)
    assert asyncio.get_running_loop().time() - began < 1
    assert not error.final
    assert "no answer within 0.1 s" in str(error)


async def test_a_receiver_that_trickles_is_given_up_in_time() -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    assert "no answer within 0.1 s" in str(await refused(trickle, timeout=0.1))


async def test_of_a_huge_answer_only_the_head_is_read() -> None:
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(15_000):
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    error = await refused(flood)
    assert len(str(error)) < ANSWER_MAX
    assert sent < 20_000_000


async def test_a_huge_answer_to_what_was_taken_is_no_refusal() -> None:
    async with receiving(answer(200, body=b"x" * 100_000)) as receiver:
        poster = Poster()
        await poster.post(receiver.url, b"{}")
        await poster.close()


async def test_an_answer_that_is_no_http_is_trouble() -> None:
    error = await refused(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    assert not error.final


async def test_a_connection_that_is_cut_is_trouble() -> None:
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    assert not (await refused(cut)).final


async def test_a_certificate_that_nobody_vouches_for_is_trouble(tmp_path: Path) -> None:
    pki = certs.make(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.server.certificate, pki.server.key)
    async with receiving(tls=context) as receiver:
        poster = Poster(5)
        with pytest.raises(DeliveryError, match="certificate verify failed") as caught:
            await poster.post(f"https://127.0.0.1:{receiver.port}{SECRET}", b"{}")
        await poster.close()
    assert "verysecret" not in str(caught.value)
    assert not caught.value.final
    assert receiver.requests == []


async def test_nobody_who_listens_is_trouble() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    poster = Poster()
    with pytest.raises(DeliveryError, match="ClientConnectorError"):
        await poster.post(f"http://127.0.0.1:{port}{SECRET}", b"{}")
    await poster.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:pass@hooks.example.org/secret?x=1#y", "https://hooks.example.org"),
        ("http://h:8080/a", "http://h:8080"),
        ("http://[::1", "an address that cannot be understood"),
        ("http://h:99999/secret", "an address that cannot be understood"),
    ],
)
def test_of_an_address_only_the_host_is_told(url: str, expected: str) -> None:
    assert masked(url) == expected


async def test_an_address_that_is_none_is_trouble_and_not_told() -> None:
    poster = Poster()
    for url in ("http://[::1/verysecret", "http://h:99999/verysecret", "verysecret"):
        with pytest.raises(DeliveryError) as caught:
            await poster.post(url, b"{}")
        assert "verysecret" not in str(caught.value)
    await poster.close()


@pytest.mark.parametrize("suffix", ["", "/", "/am", "/am/", "/am/api/v2/alerts"])
async def test_alertmanager_is_asked_below_its_prefix(suffix: str) -> None:
    async with receiving(OK) as receiver:
        client = Alertmanager(receiver.url + suffix)
        await client.send(b"[]")
        await client.close()
    prefix = "/am" if "am" in suffix else ""
    assert [r.path for r in receiver.requests] == [f"{prefix}/api/v2/alerts"]

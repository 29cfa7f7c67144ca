import hashlib
import hmac
import os
from pathlib import Path

import pydantic_core
import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.clients.secretfile import SECRET_MAX, SecretFile
from citadel_k8s.clients.slack import Slack
from citadel_k8s.clients.webhook import SIGNATURE, Webhook, signature
from citadel_k8s.domain.alertgroups import GroupKey, Message
from citadel_k8s.domain.alerts import Alert
from tests.receivers import receiving

NOW = 1_795_420_800


def message(node: str = "gpu-1", said: str = "silent") -> Message:
    alert = Alert("NodeOffline", "AgentSilent", "critical", said, NOW - 60, node)
    return Message(GroupKey("NodeOffline", "AgentSilent"), "critical", (alert,), 1, ())


def written(folder: Path, content: bytes) -> SecretFile:
    path = folder / "secret"
    path.write_bytes(content)
    return SecretFile(path)


async def test_a_webhook_is_signed_over_moment_and_body(tmp_path: Path) -> None:
    async with receiving() as receiver:
        client = Webhook(
            receiver.url + "/hook",
            written(tmp_path, b"  s3cret\n"),
            {"org": "acme"},
            clock=ManualClock(),
        )
        await client.send(message())
        await client.close()
    (request,) = receiver.requests
    moment, _, mac = request.headers[SIGNATURE.lower()].partition(",")
    assert moment == f"t={NOW}"
    signed = f"{NOW}.".encode() + request.body
    expected = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(mac, f"v1={expected}")
    document = pydantic_core.from_json(request.body)
    assert (document["status"], document["count"], document["labels"]) == (
        "firing", 1, {"org": "acme"},
    )  # fmt: skip


def test_a_signature_changes_with_each_of_its_parts() -> None:
    made = {
        signature("a", 1, b"x"),
        signature("b", 1, b"x"),
        signature("a", 2, b"x"),
        signature("a", 1, b"y"),
    }
    assert len(made) == 4


async def test_a_renewed_secret_signs_from_the_next_message_on(tmp_path: Path) -> None:
    async with receiving() as receiver:
        client = Webhook(receiver.url, written(tmp_path, b"old"), clock=ManualClock())
        await client.send(message())
        written(tmp_path, b"new")
        await client.send(message())
        await client.close()
    old, new = (r.headers[SIGNATURE.lower()] for r in receiver.requests)
    body = receiver.requests[1].body
    assert old != new
    assert new == signature("new", NOW, body)


async def test_without_a_secret_nothing_is_signed() -> None:
    async with receiving() as receiver:
        client = Webhook(receiver.url)
        await client.send(message())
        await client.close()
    assert SIGNATURE.lower() not in receiver.requests[0].headers


async def test_with_a_secret_that_cannot_be_read_nothing_is_sent(tmp_path: Path) -> None:
    async with receiving() as receiver:
        client = Webhook(receiver.url, SecretFile(tmp_path / "none"))
        with pytest.raises(DeliveryError, match="No such file") as caught:
            await client.send(message())
        await client.close()
    assert receiver.requests == []
    assert not caught.value.final


@pytest.mark.parametrize("content", [b"", b" \n", b"x" * (SECRET_MAX + 1), b"\xff\xfe"])
async def test_what_is_no_secret_is_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DeliveryError, match="secret file") as caught:
        await written(tmp_path, content).read()
    assert "xxx" not in str(caught.value)
    assert "0xff" not in str(caught.value)


async def test_a_named_pipe_in_place_of_the_secret_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secret")
    with pytest.raises(DeliveryError, match="it is no file"):
        await SecretFile(tmp_path / "secret").read()


async def test_slack_is_sent_a_text(tmp_path: Path) -> None:
    async with receiving() as receiver:
        client = Slack(written(tmp_path, f"{receiver.url}/services/T/B/x\n".encode()))
        await client.send(message())
        await client.close()
    (request,) = receiver.requests
    assert request.path == "/services/T/B/x"
    text = pydantic_core.from_json(request.body)["text"]
    assert text == "[CRITICAL] NodeOffline (AgentSilent): 1 node: gpu-1\nsilent"


async def test_a_nodes_own_words_call_no_channel(tmp_path: Path) -> None:
    async with receiving() as receiver:
        client = Slack(written(tmp_path, receiver.url.encode()))
        await client.send(message(said="<!channel> & @here <http://x|y>"))
        await client.close()
    text = pydantic_core.from_json(receiver.requests[0].body)["text"]
    assert "&lt;!channel&gt; &amp; @\u200bhere &lt;http://x|y&gt;" in text


@pytest.mark.parametrize(
    "content", ["nonsense", "ftp://x/y", "https:///secretpath", "http://h:0/secretpath"]
)
async def test_an_address_that_is_none_is_not_quoted(tmp_path: Path, content: str) -> None:
    client = Slack(written(tmp_path, content.encode()))
    with pytest.raises(DeliveryError) as caught:
        await client.send(message())
    assert content not in str(caught.value)
    assert "secretpath" not in str(caught.value)
    assert not caught.value.final

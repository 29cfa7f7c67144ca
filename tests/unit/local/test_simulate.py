"""Simulated nodes speak as real ones do, and answer for their health until they die."""

import aiohttp
import pytest

from citadel_k8s.domain.facts import facts_from
from citadel_k8s.local.simulate import SimulatedNode
from citadel_k8s.models.codec import decode, encode

NOW = 1_795_420_800.0


def test_what_a_node_sends_is_a_message_and_nothing_else() -> None:
    node = SimulatedNode("sim-7", 7, changing=True, interval=30.0)

    payload = node.payload(NOW)
    message = decode(payload)
    facts = facts_from(message)

    assert decode(encode(message)) == message
    assert message.status.gpu is not None
    assert not any(gpu.model_extra for gpu in message.status.gpu)
    assert (message.node_id, message.seq, message.interval_seconds) == ("sim-7", 1, 30.0)
    assert facts.gpus is not None
    assert len({gpu.uuid for gpu in facts.gpus}) == 8
    assert 3_500 < len(payload) < 6_000


def test_the_sequence_counts_on_and_begins_anew_with_a_new_boot() -> None:
    node = SimulatedNode("sim-7", 7, changing=False, interval=30.0, gpus=0)
    first = [node.message(NOW) for _ in range(2)]
    node.reboot()
    second = node.message(NOW)

    assert [message.seq for message in (*first, second)] == [1, 2, 1]
    assert second.boot_id != first[0].boot_id
    assert second.status.gpu == []


async def test_a_living_node_answers_at_its_door_and_a_dead_one_refuses() -> None:
    node = SimulatedNode("sim-7", 7, changing=False, interval=30.0)
    await node.open_door()
    message = node.message(NOW)
    assert message.addresses is not None
    assert node.door is not None
    url = f"http://{message.addresses[0]}:{message.status_port}"
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/health") as answer:
            said = await answer.json()
        async with http.get(f"{url}/other") as other:
            missing = other.status
        node.die()
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(f"{url}/health")
        node.speaking = True
        await node.door.open()
        async with http.get(f"{url}/health") as again:
            assert again.status == 200
        node.die()
    node.door.remove()

    assert (said["nodeId"], said["bootId"]) == ("sim-7", node.boot_id)
    assert missing == 404
    assert not node.speaking

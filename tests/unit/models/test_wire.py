import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citadel_k8s.models.codec import decode, encode
from citadel_k8s.models.wire import NodeInfo, NodeStatus, StatusMessage, SystemInfo
from citadel_k8s.models.wire_gpu import GpuInfo
from tests.unit.models.strategies import JSON, MESSAGES

FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])

MINIMAL = StatusMessage(
    timestamp="2026-11-23T08:17:33Z",
    node_id="n1",
    status=NodeStatus(
        timestamp="2026-11-23T08:17:33Z",
        node=NodeInfo(name="n1"),
        system=SystemInfo(),
        gpu=[GpuInfo(index=0, name="H100")],
        capabilities=None,
    ),
)

# What might stand in the way: names of attributes, methods and other spellings of known keys.
AWKWARD = (
    "model_config",
    "model_dump",
    "__class__",
    "__dict__",
    "__pydantic_extra__",
    "copy",
    "node_id",
    "boot_id",
    "statusPort ",
    "",
    "\u0000",
    "$ref",
)


def objects(document: Any) -> list[dict[str, Any]]:
    """Every object in a document, the document itself first."""
    if isinstance(document, dict):
        return [document, *(found for value in document.values() for found in objects(value))]
    if isinstance(document, list):
        return [found for value in document for found in objects(value)]
    return []


@FEW
@given(MESSAGES)
def test_any_message_comes_back_as_it_was_sent(message: StatusMessage) -> None:
    back = decode(encode(message))

    assert back == message
    assert encode(back) == encode(message)


@FEW
@given(MESSAGES, st.data(), st.text(max_size=8).map("zz".__add__) | st.sampled_from(AWKWARD), JSON)
def test_an_unknown_key_anywhere_is_kept(
    message: StatusMessage, data: st.DataObject, key: str, value: Any
) -> None:
    document = json.loads(encode(message))
    data.draw(st.sampled_from(objects(document)))[key] = value

    kept = json.loads(encode(decode(json.dumps(document))))

    assert kept == document


@pytest.mark.parametrize("key", AWKWARD)
def test_an_unknown_key_hides_no_known_one(key: str) -> None:
    document = json.loads(encode(MINIMAL)) | {key: 7}

    message = decode(json.dumps(document))

    assert message.node_id == "n1"
    assert message.boot_id is None
    assert message.status == MINIMAL.status


def test_what_is_not_known_is_absent_from_the_text() -> None:
    text = encode(MINIMAL).decode()

    assert "null" not in text
    assert json.loads(text)["status"]["gpu"] == [{"index": 0, "name": "H100"}]


def test_the_envelope_is_camel_case_and_the_status_snake_case() -> None:
    message = MINIMAL.model_copy(update={"boot_id": "b", "status_port": 8080, "seq": 1})

    document = json.loads(encode(message))

    assert {"nodeId", "bootId", "statusPort", "seq"} <= document.keys()
    assert {"vnc_port", "timestamp", "node", "system"} <= document["status"].keys()


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        MINIMAL.node_id = "n2"  # type: ignore[misc]


def test_the_last_of_two_equal_keys_wins() -> None:
    text = encode(MINIMAL).decode().replace('"nodeId":"n1"', '"nodeId":"n1","nodeId":"n2"')

    assert decode(text).node_id == "n2"

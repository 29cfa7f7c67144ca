import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.configmessage import (
    ConfigEntry,
    Identity,
    Opened,
    Skip,
    open_entry,
    read_entry,
    read_hint,
)
from citadel_k8s.domain.deadletter import dead_letter
from citadel_k8s.domain.nodeconfig import Change
from citadel_k8s.errors import WireError

US = Identity("gpu-1", "758")


def entry(payload: Any = None, **fields: Any) -> ConfigEntry:
    text = payload if isinstance(payload, str | bytes) else json.dumps(payload)
    raw = {"type": "APPLY_DEVICE_CONFIG", "payload": text, **fields}
    return ConfigEntry(
        "1-0", {k: v if isinstance(v, bytes) else str(v).encode() for k, v in raw.items()}
    )


def as_it_is(document: Any) -> Any:
    return document


def changed(message: ConfigEntry) -> Change:
    opened = open_entry(message, US)
    assert isinstance(opened, Opened)
    return read_entry(opened, as_it_is)


CONFIG = {"deviceName": "a"}


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (entry({"config": CONFIG}, nodeId="gpu-1"), None),
        (entry({"config": CONFIG}, target="gpu-1"), None),
        (entry({"config": CONFIG}, target_node="758"), None),
        (entry({"config": CONFIG, "nodeId": "gpu-1"}), None),
        (entry({"config": CONFIG, "target_node": 758}), None),
        (entry({**CONFIG, "nodeId": "gpu-1"}), None),
        (entry({"config": {**CONFIG, "nodeId": "gpu-1"}}), None),
        (entry("", config=json.dumps({**CONFIG, "nodeId": "gpu-1"})), None),
        (entry({"nodeId": "gpu-1"}, config=json.dumps(CONFIG)), None),
        (entry({"config": CONFIG}, nodeId="gpu-2"), Skip.OTHER_NODE),
        (entry({"config": CONFIG}, nodeId="GPU-1"), Skip.OTHER_NODE),
        (entry({"config": CONFIG, "nodeId": "gpu-2"}), Skip.OTHER_NODE),
        (entry({"config": CONFIG, "nodeId": ["gpu-1"]}), Skip.OTHER_NODE),
        (entry({"config": CONFIG, "target_node": True}), Skip.OTHER_NODE),
        # Two names are one too many, wherever they stand.
        (entry({"config": CONFIG}, nodeId="gpu-1", target="gpu-2"), Skip.OTHER_NODE),
        (entry({"config": CONFIG, "nodeId": "gpu-2"}, nodeId="gpu-1"), Skip.OTHER_NODE),
        (entry({"config": {"nodeId": "gpu-2"}}, nodeId="gpu-1"), Skip.OTHER_NODE),
        (entry({"config": CONFIG}), Skip.NO_TARGET),
        (entry({"config": CONFIG, "nodeId": None}, nodeId=""), Skip.NO_TARGET),
        (entry("no json"), Skip.NO_TARGET),
        (entry("x" * MAX_ENTRY_BYTES), Skip.NO_TARGET),
        (entry({"config": CONFIG}, type="RUN", nodeId="gpu-1"), Skip.OTHER_TYPE),
        (entry({"config": CONFIG}, type="RUN", nodeId="gpu-2"), Skip.OTHER_NODE),
    ],
)
def test_an_entry_is_for_this_node_if_it_says_so_and_nothing_else(
    message: ConfigEntry, why: Skip | None
) -> None:
    opened = open_entry(message, US)
    assert isinstance(opened, Opened) if why is None else opened is why


def test_a_node_that_does_not_know_itself_takes_nothing() -> None:
    for message in (
        entry({"config": CONFIG}, nodeId=""),
        entry({"config": CONFIG}, nodeId="gpu-1"),
        entry({"config": CONFIG}, target_node="758"),
        entry({"config": CONFIG, "target_node": "None"}),
    ):
        assert open_entry(message, Identity("")) in {Skip.OTHER_NODE, Skip.NO_TARGET}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (entry("x" * MAX_ENTRY_BYTES, nodeId="gpu-1"), "Oversized: "),
        (entry("{", nodeId="gpu-1"), "NotJson at payload: "),
        (entry('{"deviceName": NaN}', nodeId="gpu-1"), "NotJson at payload: "),
        (entry(b'{"deviceName": "\xff"}', nodeId="gpu-1"), "NotJson at payload: "),
        (entry(r'{"deviceName": "\ud800"}', nodeId="gpu-1"), "NotJson at payload: "),
        (entry("[" * 100_000, nodeId="gpu-1"), "NotJson at payload: "),
        (entry([], nodeId="gpu-1"), "BadField at payload: an object is needed"),
        (entry(" ", nodeId="gpu-1"), "MissingConfig at payload: it is empty"),
        (entry({"config": None}, nodeId="gpu-1"), "MissingConfig at payload.config"),
        (entry({"config": 1}, nodeId="gpu-1"), "MissingConfig at payload.config"),
        (entry({"config": "{"}, nodeId="gpu-1"), "NotJson at payload.config: "),
        (entry({}, config="{", nodeId="gpu-1"), "NotJson at config: "),
    ],
)
def test_an_entry_for_this_node_that_cannot_be_read_is_told(
    message: ConfigEntry, told: str
) -> None:
    with pytest.raises(WireError) as caught:
        open_entry(message, US)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    "message",
    [
        entry({"config": CONFIG}, nodeId="gpu-1"),
        entry({"config": json.dumps(CONFIG)}, nodeId="gpu-1"),
        entry(CONFIG, nodeId="gpu-1"),
        entry({"config": {"deviceName": "loses"}}, nodeId="gpu-1", config=json.dumps(CONFIG)),
        entry("no json", nodeId="gpu-1", config=json.dumps(CONFIG)),
    ],
)
def test_the_configuration_is_found_in_each_of_the_contracts_places(message: ConfigEntry) -> None:
    change = changed(message)
    assert dict(change.values) == CONFIG
    assert change.unsupported == ()


def test_a_revision_is_taken_from_the_inside_out() -> None:
    inner = {"config": {**CONFIG, "revision": "c"}, "revision": "p", "updatedAt": "d"}
    change = changed(entry(inner, revision="e", nodeId="gpu-1"))
    assert (change.revision, change.updated_at) == ("c", "d")
    assert changed(entry({"config": CONFIG, "revision": 7}, nodeId="gpu-1")).revision == "7"
    assert changed(entry({"config": CONFIG}, revision="e", nodeId="gpu-1")).revision == "e"
    assert changed(entry({"config": CONFIG}, nodeId="gpu-1")).revision is None


def test_a_refused_field_is_told_by_its_place() -> None:
    with pytest.raises(WireError, match=r"BadField at config\.deviceName"):
        changed(entry({"config": {"deviceName": 1}}, nodeId="gpu-1"))


HINT = {"type": "config_updated", "nodeId": "gpu-1", "config": CONFIG, "updatedAt": "now"}


def test_a_hint_is_read() -> None:
    change = read_hint(json.dumps(HINT).encode(), US, as_it_is)
    assert (dict(change.values), change.updated_at) == (CONFIG, "now")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"x" * (MAX_ENTRY_BYTES + 1), "Oversized"),
        (b"\xff", "NotJson"),
        (b"7", "BadField: an object is needed"),
        (json.dumps(HINT | {"type": "other"}).encode(), "OtherType at type"),
        (json.dumps(HINT | {"nodeId": "gpu-2"}).encode(), "OtherNode at nodeId"),
        (json.dumps({"type": "config_updated", "config": {}}).encode(), "OtherNode at nodeId"),
        (json.dumps(HINT | {"config": {"nodeId": "x"}}).encode(), "OtherNode at config.nodeId"),
        (json.dumps(HINT | {"config": []}).encode(), "MissingConfig at config"),
        (json.dumps(HINT | {"config": {"services": ["a"] * 51}}).encode(), "TooMany at config.ser"),
    ],
)
def test_a_hint_that_does_not_fit_is_told(data: bytes, told: str) -> None:
    with pytest.raises(WireError) as caught:
        read_hint(data, US, as_it_is)
    assert str(caught.value).startswith(told)


def test_no_hint_is_for_a_node_without_an_id() -> None:
    with pytest.raises(WireError, match="OtherNode"):
        read_hint(json.dumps(HINT | {"nodeId": ""}).encode(), Identity(""), as_it_is)


TEXTS = st.binary(max_size=20) | st.sampled_from(
    [
        b"APPLY_DEVICE_CONFIG",
        b"gpu-1",
        b'{"config": {"nodeId": "gpu-1"}}',
        b'{"config": "{}", "target_node": 758}',
        b'{"nodeId": "gpu-1", "config": [1]}',
        b"[[[",
    ]
)
KEYS = st.sampled_from(
    ["type", "nodeId", "target", "target_node", "payload", "config", "revision", "jobId"]
)


@given(st.dictionaries(KEYS, TEXTS))
def test_nothing_but_a_wire_error_comes_of_any_entry(fields: dict[str, bytes]) -> None:
    message = ConfigEntry("1-0", {"type": b"APPLY_DEVICE_CONFIG", "nodeId": b"gpu-1"} | fields)
    named = {message.fields.get(key) for key in ("nodeId", "target")} - {None, b""}
    with suppress(WireError):
        opened = open_entry(message, US)
        if isinstance(opened, Opened):
            assert named <= {b"gpu-1"}
            read_entry(opened, as_it_is)
    letter = dead_letter(message, queue="q", reason="r", moved_at="m", worker_id="w")
    assert all(value.encode() is not None for value in letter.values())
    with suppress(WireError):
        read_hint(fields.get("payload", b""), US, as_it_is)

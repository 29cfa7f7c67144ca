import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadel_k8s.collectors.podlist import PODS_MAX, NodePods, pods_of, read_pods
from tests.unit.collectors.podlists import POD, body, document


def test_a_pod_is_read() -> None:
    assert pods_of(body(document())) == NodePods((POD,), frozenset())


def test_pods_that_have_run_to_their_end_are_told_apart() -> None:
    ended = document(status={"phase": "Succeeded"})
    assert pods_of(body(ended)) == NodePods((), frozenset({("ns", "serve-0")}))


def test_an_ended_pod_whose_name_another_one_has_now_is_not_told_as_ended() -> None:
    ended = document(status={"phase": "Failed"})
    assert pods_of(body(ended, document())) == NodePods((POD,), frozenset())


def test_a_static_pod_has_the_uid_that_the_node_knows_it_by() -> None:
    metadata = document()["metadata"] | {
        "annotations": {"kubernetes.io/config.mirror": "0123abcd"},
    }
    (pod,) = pods_of(body(document(metadata=metadata))).pods
    assert pod.uid == "0123abcd"


def test_names_are_cleaned_and_labels_are_bounded() -> None:
    labels = {f"app.kubernetes.io/{n}": "x\x1b" + "y" * 1000 for n in range(1000)}
    metadata = document()["metadata"] | {"name": "a\nb", "labels": labels}
    (found,) = pods_of(body(document(metadata=metadata))).pods
    assert found.name == "a b"
    assert len(found.labels) == 64
    assert all(len(value) <= 256 and "\x1b" not in value for _, value in found.labels)


def test_the_list_of_pods_is_bounded() -> None:
    assert len(pods_of(body(*[document()] * (PODS_MAX + 5))).pods) == PODS_MAX


@pytest.mark.parametrize("wrong", [b"", b"[]", b"{}", b'{"items": 7}', b"\xff", b"[" * 100_000,
    b'{"items": [{}', b'{"items": [{} {}]}', b'{"items": [{}, ]}', b'{"kind": "PodList"}',
    b'{"items"}', b'{"kind" 7, "items": []}',
])  # fmt: skip
def test_what_is_no_list_of_pods_is_refused(wrong: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        pods_of(wrong)


@pytest.mark.parametrize("indent", [None, 2])
def test_the_list_may_stand_anywhere_and_hold_long_pods(indent: int | None) -> None:
    long = document(spec={"env": ["x" * 100] * 1000})
    listed = {"metadata": {"items": []}, "items": [long, document()], "kind": "PodList"}
    assert pods_of(json.dumps(listed, indent=indent).encode()).pods == (POD, POD)
    assert pods_of(b' { "items" : [ ] } ') == NodePods((), frozenset())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = ["metadata", "status", "uid", "namespace", "name", "labels", "containerStatuses", "phase"]


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON), max_size=4))
def test_pods_of_any_shape_do_no_harm(items: list[Any]) -> None:
    assert isinstance(pods_of(body(*items)), NodePods)


@settings(max_examples=50)
@given(JSON, st.sampled_from(["metadata", "status"]))
def test_a_part_of_any_shape_does_no_harm(part: Any, where: str) -> None:
    found = pods_of(body(document(**{where: part})))
    assert len(found.pods) <= 1


def test_a_container_of_somebody_who_looks_for_a_fault_has_a_name_too() -> None:
    debug = {"name": "debugger", "containerID": "containerd://eph", "restartCount": 0}
    (pod,) = pods_of(body(document(status={"ephemeralContainerStatuses": [debug]}))).pods
    assert pod.containers == (("eph", "debugger"),)


async def test_others_run_while_a_long_list_is_read() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    text = body(*[document(spec={"env": ["x" * 20] * 1000})] * 500)
    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count(), name="count")
        assert await read_pods(text) == pods_of(text)
        counting.cancel()
    assert turns > 2

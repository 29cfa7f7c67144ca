import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.keys import (
    check_node_id,
    heartbeat_phase,
    node_id_from_name,
    object_name,
    status_channel,
)
from citadel_k8s.errors import WireError

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
NODE_IDS = st.from_regex(r"[a-zA-Z0-9._-]{1,64}", fullmatch=True)
AWKWARD_IDS = st.text("aA1._-", min_size=1, max_size=64)
NODE_NAMES = st.from_regex(rf"{LABEL}(\.{LABEL})*", fullmatch=True).filter(lambda n: len(n) <= 253)


@given(NODE_IDS | AWKWARD_IDS)
def test_an_object_name_is_a_dns_subdomain_of_at_most_63_characters(node_id: str) -> None:
    name = object_name(node_id)

    assert SUBDOMAIN.fullmatch(name)
    assert len(name) <= 63


@given(NODE_IDS.filter(SUBDOMAIN.fullmatch).filter(lambda n: len(n) <= 63))
def test_a_node_id_that_is_a_valid_name_stays_as_it_is(node_id: str) -> None:
    assert object_name(node_id) == node_id


@given(AWKWARD_IDS, AWKWARD_IDS)
def test_two_node_ids_have_two_names(one: str, other: str) -> None:
    assert (object_name(one) == object_name(other)) == (one == other)


def test_spellings_of_one_word_stay_apart() -> None:
    spellings = [
        "gpu-1",
        "GPU-1",
        "gpu_1",
        "GPU_1",
        "Gpu-1",
        "gpu-1.",
        "-gpu-1",
        ".gpu-1",
        "gpu..1",
    ]

    assert len({object_name(spelling) for spelling in spellings}) == len(spellings)


@pytest.mark.parametrize(
    ("node_id", "name"),
    [
        ("gpu-1", "gpu-1"),
        ("gpu-1.example.com", "gpu-1.example.com"),
        ("GPU_1", "gpu-1-4afdc8"),
        ("_", "node-d2e2ad"),
        ("A" * 64, "a" * 56 + "-d53eda"),
    ],
)
def test_names_never_change_between_versions(node_id: str, name: str) -> None:
    # A name that changed would leave the old object behind as a second node.
    assert object_name(node_id) == name


@given(st.text(max_size=70))
def test_what_is_no_node_id_has_no_name(text: str) -> None:
    if re.fullmatch(r"[a-zA-Z0-9._-]{1,64}", text):
        assert check_node_id(text) == text
    else:
        with pytest.raises(WireError) as caught:
            object_name(text)
        assert (caught.value.reason, caught.value.field) == ("BadNodeId", "nodeId")


@given(NODE_NAMES | st.text("ab.-", min_size=1, max_size=253))
def test_every_kubernetes_node_name_has_a_node_id(name: str) -> None:
    node_id = node_id_from_name(name)

    assert check_node_id(node_id) == node_id
    assert (node_id == name) == (len(name) <= 64)


def test_long_node_names_that_differ_at_the_end_have_two_node_ids() -> None:
    stem = "ip-10-0-0-1." + "x" * 230

    assert node_id_from_name(stem + ".a") != node_id_from_name(stem + ".b")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 100 + "/", "x" * 100 + "\n", "ä" * 70])
def test_what_is_no_kubernetes_node_name_is_refused(name: str) -> None:
    with pytest.raises(WireError, match="BadNodeId"):
        node_id_from_name(name)


def test_the_channel_of_a_node_carries_its_id() -> None:
    assert status_channel("GPU_1") == "node:status:GPU_1"


@given(NODE_IDS, st.floats(5, 300))
def test_a_phase_lies_on_the_grid(node_id: str, interval: float) -> None:
    assert 0 <= heartbeat_phase(node_id, interval) < interval


def test_phases_spread_over_the_interval() -> None:
    phases = [heartbeat_phase(f"node-{number}", 30.0) for number in range(1000)]
    per_second = [sum(int(phase) == second for phase in phases) for second in range(30)]

    # 33 each on average; a fleet that started at once must not speak at once.
    assert min(per_second) > 10
    assert max(per_second) < 70

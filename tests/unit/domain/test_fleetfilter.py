from typing import Any

import pytest

from citadel_k8s.domain.fleetfilter import Filter
from citadel_k8s.errors import ConfigError

ROW: dict[str, Any] = {
    "id": "gpu-1",
    "state": "Degraded",
    "headscaleId": "17",
    "labels": {"zone": "a", "rack": "r1"},
    "profile": {
        "name": "Gpu-One",
        "address": "100.64.0.1",
        "agent": "0.9.1",
        "gpus": [{"model": "NVIDIA H100", "count": 8}],
        "models": ["meta/Llama-3"],
    },
}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"state": "degraded"},
        {"state": "Offline, Degraded"},
        {"model": "llama"},
        {"gpu": "h100"},
        {"label": "zone"},
        {"label": "zone=a,rack==r1"},
        {"label": "zone!=b,!gone"},
        {"q": "one 100.64 17"},
        {"q": "state:degraded gpu:H100 model:meta label:zone=a version:<1.2"},
        {"q": "version:0.9 version:>=0.9.1 version:<=0.9.1 version:=0.9.1 version:>0.8"},
        {"q": "zone=a"},
    ],
)
def test_it_takes_what_is_meant(asked: dict[str, str]):
    assert Filter(**asked).takes(ROW)


@pytest.mark.parametrize(
    "asked",
    [
        {"state": "Online"},
        {"model": "qwen"},
        {"gpu": "a100"},
        {"label": "zone=b"},
        {"label": "zone!=a"},
        {"label": "!zone"},
        {"label": "gone"},
        {"q": "one two"},
        {"q": "version:>1"},
        {"q": "version:beta"},
    ],
)
def test_it_leaves_the_rest(asked: dict[str, str]):
    assert not Filter(**asked).takes(ROW)


def test_a_node_without_a_version_is_older_and_newer_than_none():
    assert not Filter(q="version:<9").takes({"id": "x", "state": "Online"})


def test_nodes_that_were_given_up_are_there_only_by_the_name_of_their_state():
    gone = {"id": "x", "state": "Decommissioned"}
    assert not Filter().takes(gone)
    assert not Filter(q="x").takes(gone)
    assert Filter(state="Decommissioned").takes(gone)


@pytest.mark.parametrize("state", ["Foo", "Online,Foo", ","])
def test_a_state_that_is_none_is_told_with_those_that_are(state: str):
    with pytest.raises(ConfigError, match="is none of Offline, Degraded"):
        Filter(state=state)

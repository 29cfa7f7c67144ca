"""What an object asks for, made into what a node is told."""

from typing import Any

import pytest

from citadel_k8s.config.agent import check_engine
from citadel_k8s.domain.desiredconfig import (
    CONFIG_MAX,
    KEYS,
    Desired,
    desired_config,
    is_ours,
    step_to,
    tells_nothing,
)
from citadel_k8s.domain.nodeconfig import REVISION_MAX, check, merge
from citadel_k8s.errors import WireError

FULL: dict[str, Any] = {
    "deviceName": "rack 7",
    "customTags": ["team:a"],
    "services": ["vllm"],
    "agent": {
        "intervalSeconds": 15,
        "engines": [{"name": "e", "engine": "vllm", "url": "http://127.0.0.1:8000"}],
    },
    "healthMonitoringEnabled": True,
    "alertOnOffline": False,
    "alertOnHighTemp": True,
}


def desired(config: dict[str, Any] | None = None) -> Desired:
    return desired_config(config, "n1", check_engine)


def test_every_key_that_a_node_can_be_told_has_a_bit() -> None:
    assert set(desired(FULL).values) == set(KEYS)
    assert set(check(dict.fromkeys(KEYS), check_engine).values) == set(KEYS)
    assert len(KEYS) <= 8 * 4


def test_a_revision_is_one_that_the_wire_takes_and_the_same_for_the_same_wishes() -> None:
    one, other = desired(FULL), desired(dict(reversed(FULL.items())))
    assert one.revision == other.revision
    assert is_ours(one.revision)
    assert len(one.revision) <= REVISION_MAX
    assert desired({**FULL, "deviceName": "rack 8"}).revision != one.revision


def test_what_is_sent_is_taken_by_a_node_as_it_stands() -> None:
    values = desired(FULL).values
    assert check(values, check_engine).values == values


def test_a_key_that_is_not_asked_for_any_more_is_taken_back() -> None:
    before = desired({"deviceName": "a", "customTags": ["b"]}).revision
    step = step_to(desired({"customTags": ["b"]}), before)
    assert step.values == {"deviceName": None, "customTags": ["b"]}
    assert merge({"deviceName": "a", "customTags": ["b"]}, step.values) == {"customTags": ["b"]}


def test_a_key_that_was_never_asked_for_is_left_to_whoever_told_it() -> None:
    for foreign in (None, "", "r1", "1795420800000-0", "k8s-xyz", "2026-01-01T00:00:00Z"):
        assert step_to(desired({"deviceName": "a"}), foreign).values == {"deviceName": "a"}


def test_what_was_sent_and_what_is_reported_both_count() -> None:
    sent = desired({"deviceName": "a"}).revision
    reported = desired({"alertOnOffline": True}).revision
    back = step_to(desired(), sent, reported)
    assert back.values == {"deviceName": None, "alertOnOffline": None}


def test_other_services_than_before_begin_anew_because_a_list_only_adds() -> None:
    wanted = desired({"services": ["tei"]})
    assert step_to(wanted, desired({"services": ["vllm"]}).revision).anew
    assert not step_to(wanted, desired({"services": ["tei"], "deviceName": "x"}).revision).anew
    assert not step_to(wanted, desired({"deviceName": "x"}).revision).anew
    assert not step_to(wanted, None).anew
    gone = step_to(desired({}), wanted.revision)
    assert (gone.values, gone.anew) == ({"services": None}, False)


def test_no_services_are_asked_for_in_two_ways_and_told_in_one() -> None:
    assert desired({"services": []}).values == desired({"services": None}).values
    assert desired({"services": []}).values == {"services": None}


def test_null_goes_back_to_the_nodes_own_and_holds_nothing() -> None:
    one = desired({"deviceName": None})
    assert one.values == {"deviceName": None}
    assert tells_nothing(one.revision)
    assert one.revision != desired().revision


def test_what_no_agent_can_do_is_named_and_stays_where_it_is() -> None:
    secret = {"vncPassword": "hunter2", "sshDeviceKeys": ["k"], "agent": {"secret": "s"}}
    one = desired({"deviceName": "a", **secret})
    assert one.values == {"deviceName": "a"}
    assert one.unsupported == ("agent.secret", "sshDeviceKeys", "vncPassword")
    assert one.revision == desired({"deviceName": "a"}).revision


def test_what_a_message_says_of_itself_is_not_the_objects_to_say() -> None:
    about = {"revision": "mine", "updatedAt": "x", "status": "y", "nodeId": "n1", "target": ""}
    assert desired({"deviceName": "a", **about}) == desired({"deviceName": "a"})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"nodeId": "n2"}, "OtherNode at config.nodeId"),
        ({"target": ["n1"]}, "OtherNode at config.target"),
        ({"customTags": ["X" * 9] * 101}, "TooMany at config.customTags"),
        ({"agent": {"intervalSeconds": 1}}, "BadField at config.agent.intervalSeconds"),
        ({"agent": []}, "BadField at config.agent"),
        ({"revision": ["x"]}, "BadField at config.revision"),
        ({"deviceName": "x" * 257}, "TooLong at config.deviceName"),
        (
            {"engines": [{"name": "e", "engine": "vllm", "url": "http://169.254.169.254"}]},
            "Forbidden at config.engines.0.url",
        ),
        (
            {
                "engines": [
                    {"name": f"e{n}", "engine": "vllm", "url": f"http://h/{'x' * 1000}"}
                    for n in range(20)
                ]
            },
            f"at most {CONFIG_MAX}",
        ),
    ],
)
def test_what_does_not_fit_is_refused_as_a_whole(config: dict[str, Any], told: str) -> None:
    with pytest.raises(WireError, match=told):
        desired({"deviceName": "a", **config})

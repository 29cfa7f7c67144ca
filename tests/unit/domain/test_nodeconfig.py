import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel_k8s.domain.configfields import SERVICES_MAX
from citadel_k8s.domain.nodeconfig import UNSUPPORTED_MAX, Change, check, merge
from citadel_k8s.errors import WireError


def as_it_is(document: Any) -> Any:
    return document


def checked(**config: Any) -> Change:
    return check(config, as_it_is)


ENGINE = {"name": "a", "engine": "vllm", "url": "http://127.0.0.1:8000"}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"deviceName": 7}, "BadField at config.deviceName: a text is needed, not a number"),
        ({"deviceName": "x" * 257}, "TooLong at config.deviceName: 257 bytes; at most 256"),
        ({"deviceName": "ä" * 129}, "TooLong at config.deviceName: 258 bytes; at most 256"),
        ({"deviceName": "a\nb"}, "BadField at config.deviceName: it holds control characters"),
        ({"deviceName": "a\u202eb"}, "BadField at config.deviceName"),
        ({"deviceName": "a\ud800"}, "BadField at config.deviceName"),
        ({"services": "vllm"}, "BadField at config.services: a list is needed, not a text"),
        ({"services": [True]}, "BadField at config.services.0: a text is needed, not true or fals"),
        ({"services": ["ok", "Not-Ok"]}, "BadField at config.services.1: 'Not-Ok' does not match"),
        ({"services": ["a\n"]}, "BadField at config.services.0"),
        ({"services": ["x" * 33]}, "BadField at config.services.0"),
        ({"services": ["a"] * 51}, "TooMany at config.services: 51; at most 50"),
        ({"customTags": [""]}, "BadField at config.customTags.0"),
        ({"customTags": ["-a"]}, "BadField at config.customTags.0"),
        ({"customTags": ["a" * 129]}, "BadField at config.customTags.0"),
        ({"customTags": ["a"] * 101}, "TooMany at config.customTags: 101; at most 100"),
        ({"customTags": {}}, "BadField at config.customTags: a list is needed, not an object"),
        ({"sshAllowedUsers": ["u"] * 51}, "TooMany at config.sshAllowedUsers: 51; at most 50"),
        ({"sshAllowedUsers": [1]}, "BadField at config.sshAllowedUsers.0"),
        ({"intervalSeconds": "30"}, "BadField at config.intervalSeconds: a number of seconds"),
        ({"intervalSeconds": True}, "BadField at config.intervalSeconds: a number of seconds"),
        ({"intervalSeconds": 4.9}, "BadField at config.intervalSeconds: must be 5 to 300 seconds"),
        ({"agent": {"intervalSeconds": 10**400}}, "BadField at config.agent.intervalSeconds"),
        ({"agent": []}, "BadField at config.agent: an object is needed, not a list"),
        ({"healthMonitoringEnabled": 1}, "BadField at config.healthMonitoringEnabled: true or fal"),
        ({"alertOnOffline": "yes"}, "BadField at config.alertOnOffline"),
        ({"alertOnHighTemp": []}, "BadField at config.alertOnHighTemp"),
        ({"revision": True}, "BadField at config.revision"),
        ({"revision": "x" * 65}, "TooLong at config.revision: 65 bytes; at most 64"),
        ({"revision": 2**63}, "BadField at config.revision"),
        ({"updatedAt": 7}, "BadField at config.updatedAt"),
        ({"engines": [ENGINE, ENGINE]}, "BadField at config.engines.1.name: two engines"),
        ({"engines": ["vllm"]}, "BadField at config.engines.0: an object is needed, not a text"),
        ({"engines": [ENGINE] * 51}, "TooMany at config.engines: 51; at most 50"),
        (
            {"agent": {"engines": [ENGINE | {"apiKeyFile": "/etc/shadow"}]}},
            "Forbidden at config.agent.engines.0.apiKeyFile",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(config: dict[str, Any], told: str) -> None:
    with pytest.raises(WireError) as caught:
        check({"deviceName": "fine", **config}, as_it_is)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "0.0.0.0",
        "224.0.0.1",
        "\uff11\uff16\uff19.254.169.254",
        "169\u3002254\u3002169\u3002254",
        "169%2e254%2e169%2e254",
        "[64:ff9b::a9fe:a9fe]",
        "[::169.254.169.254]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "METADATA.google.internal.",
    ],
)
def test_an_engine_is_not_looked_for_where_clouds_keep_secrets(host: str) -> None:
    with pytest.raises(WireError, match=r"Forbidden at config\.engines\.0\.url"):
        checked(engines=[ENGINE | {"url": f"http://{host}/"}])


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.1.2.3", "[fd7a::1]", "[::1]", "vllm.svc", "node-7.lan"]
)
def test_an_engine_may_be_anywhere_else(host: str) -> None:
    assert checked(engines=[ENGINE | {"url": f"http://{host}:1"}]).values["engines"]


def test_what_a_wrong_value_says_is_not_repeated() -> None:
    with pytest.raises(WireError) as caught:
        checked(deviceName={"vncPassword": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_whole_message_of_the_contract_is_taken_and_what_cannot_be_done_is_named() -> None:
    change = checked(
        deviceName="rack 7",
        services=["vllm", "ollama", "vllm"],
        autoStartServices=True,
        sshEnabled=False,
        sshAllowedUsers=["root"],
        vncPassword="hunter2",
        nodePasscode="",
        meetingEnabled=None,
        customTags=["gpu:h100"],
        healthMonitoringEnabled=True,
        alertOnOffline=False,
        status="active",
        updatedAt="2026-11-23T08:17:33Z",
        revision=12,
        agent={"intervalSeconds": 60, "engines": [ENGINE], "colour": "red"},
    )
    assert change.values == {
        "deviceName": "rack 7",
        "services": ["vllm", "ollama"],
        "customTags": ["gpu:h100"],
        "healthMonitoringEnabled": True,
        "alertOnOffline": False,
        "intervalSeconds": 60.0,
        "engines": [ENGINE],
    }
    assert change.unsupported == (
        "agent.colour",
        "autoStartServices",
        "nodePasscode",
        "sshAllowedUsers",
        "sshEnabled",
        "vncPassword",
    )
    assert (change.revision, change.updated_at) == ("12", "2026-11-23T08:17:33Z")
    assert "hunter2" not in repr(change)


def test_names_of_unknown_keys_are_bounded_and_clean() -> None:
    change = check({f"k{i}\n{'x' * 1000}": 1 for i in range(1000)}, as_it_is)
    assert len(change.unsupported) == UNSUPPORTED_MAX
    assert all(len(name) <= 64 and name.isprintable() for name in change.unsupported)


def test_the_agents_own_block_wins_over_the_same_key_outside_it() -> None:
    change = checked(intervalSeconds=10, agent={"intervalSeconds": 20})
    assert change.values == {"intervalSeconds": 20.0}
    assert checked(agent=None).values == {"intervalSeconds": None, "engines": None}


def test_an_empty_device_name_goes_back_to_the_nodes_own() -> None:
    assert checked(deviceName="  ").values == {"deviceName": None}


def test_a_change_without_revision_and_date_is_known_by_nothing() -> None:
    assert checked(deviceName="a").token is None
    one, same, other = (checked(deviceName=n, revision=1).token for n in ("a", "a", "b"))
    assert one == same != other


def test_absent_leaves_alone_null_goes_back_and_a_list_replaces_but_of_services() -> None:
    kept = {"deviceName": "a", "customTags": ["x"], "services": ["vllm"]}
    assert merge(kept, {}) == kept
    assert merge(kept, {"deviceName": None}) == {"customTags": ["x"], "services": ["vllm"]}
    assert merge(kept, {"customTags": []})["customTags"] == []
    assert merge(kept, {"services": []})["services"] == ["vllm"]
    assert merge(kept, {"services": ["tei", "vllm"]})["services"] == ["vllm", "tei"]
    assert "services" not in merge(kept, {"services": None})


def test_services_that_add_up_to_too_many_are_refused() -> None:
    kept = {"services": [f"s{i}" for i in range(SERVICES_MAX)]}
    assert merge(kept, {"services": ["s0"]}) == kept
    with pytest.raises(WireError, match="TooMany at services: 51 in all; at most 50"):
        merge(kept, {"services": ["other"]})


NAMES = st.lists(st.sampled_from(["vllm", "tei", "ollama", "db"]), max_size=4, unique=True)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "deviceName": st.none() | st.text("ab", min_size=1, max_size=3),
        "customTags": st.none() | st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
        "services": st.none() | NAMES,
        "alertOnOffline": st.none() | st.booleans(),
        "intervalSeconds": st.none() | st.integers(5, 300).map(float),
    },
)


@given(CHANGES, CHANGES)
def test_the_same_change_twice_is_the_change_once(first: dict[str, Any], second: dict[str, Any]):
    once = merge(merge({}, first), second)
    assert merge(once, second) == once


@given(CHANGES, CHANGES, CHANGES)
def test_changes_add_up_in_whatever_way_they_are_grouped(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    # Two changes in one: the later key wins, services add up unless one of the two takes all back.
    both = second | third
    if second.get("services") and third.get("services"):
        both["services"] = list(dict.fromkeys([*second["services"], *third["services"]]))
    elif second.get("services") and third.get("services") == []:
        both["services"] = second["services"]
    if second.get("services", "") is None and "services" in third:
        return  # back first and then more is a wish that one change cannot hold
    assert merge(merge(merge({}, first), second), third) == merge(merge({}, first), both)


@given(CHANGES, CHANGES)
def test_a_key_that_is_not_named_stays_as_it_was(first: dict[str, Any], second: dict[str, Any]):
    before = merge({}, first)
    after = merge(before, second)
    assert {k: v for k, v in after.items() if k not in second} == {
        k: v for k, v in before.items() if k not in second
    }
    assert all(key not in after for key, value in second.items() if value is None)
    assert None not in after.values()


@given(CHANGES, CHANGES)
def test_a_sum_can_be_saved_and_checked_again(first: dict[str, Any], second: dict[str, Any]):
    kept = merge(merge({}, first), second)
    assert check(json.loads(json.dumps(kept)), as_it_is).values == kept


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = ["deviceName", "services", "customTags", "agent", "engines", "revision", "sshAllowedUsers"]


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), JSON, max_size=4))
def test_nothing_but_a_wire_error_comes_of_any_json(config: dict[str, Any]) -> None:
    def broken(document: Any) -> Any:
        raise WireError("BadField", "name", "is missing")

    try:
        change = check(config, broken)
    except WireError:
        return
    json.dumps(merge({}, change.values))

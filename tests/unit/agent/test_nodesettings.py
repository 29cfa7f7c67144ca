from pathlib import Path
from typing import Any

import pytest

from citadel_k8s.agent.nodesettings import (
    Told,
    node_config,
    told_document,
    told_from,
)
from citadel_k8s.config.agent import AgentSettings, EngineEndpoint, check_engine
from citadel_k8s.errors import WireError
from citadel_k8s.stores.entries import EntryId

OWN = EngineEndpoint(name="own", engine="vllm", url="http://h:1", api_key_file=Path("/key"))
SETTINGS = AgentSettings(display_name="file", tags=("t",), interval_seconds=15, engines=(OWN,))


def document(name: str = "far", **more: Any) -> dict[str, Any]:
    return {"name": name, "engine": "tei", "url": "http://h:2", **more}


def test_without_a_word_from_afar_the_nodes_own_settings_hold() -> None:
    config = node_config(SETTINGS, {})
    assert (config.display_name, config.tags, config.interval_seconds) == ("file", ("t",), 15)
    assert (config.services, config.engines) == ((), (OWN,))
    assert config.health_monitoring is config.alert_on_offline is config.alert_on_high_temp is None


def test_what_was_told_lies_over_the_nodes_own_settings() -> None:
    config = node_config(
        SETTINGS,
        {
            "deviceName": "far",
            "customTags": [],
            "services": ["vllm"],
            "intervalSeconds": 60.0,
            "engines": [document()],
            "healthMonitoringEnabled": False,
            "alertOnOffline": True,
            "alertOnHighTemp": False,
        },
    )
    assert (config.display_name, config.tags, config.interval_seconds) == ("far", (), 60)
    assert config.services == ("vllm",)
    assert [engine.name for engine in config.engines] == ["own", "far"]
    assert (config.health_monitoring, config.alert_on_offline) == (False, True)
    assert config.alert_on_high_temp is False


def test_an_engine_of_the_same_name_takes_the_place_but_not_the_key() -> None:
    (engine,) = node_config(SETTINGS, {"engines": [document("own")]}).engines
    assert (engine.url, engine.api_key_file) == ("http://h:2", None)


def test_engines_are_bounded_the_nodes_own_first() -> None:
    many = [document(f"e{i}") for i in range(50)]
    config = node_config(SETTINGS, {"engines": many})
    assert len(config.engines) == 50
    assert config.engines[0] == OWN


@pytest.mark.parametrize(
    ("engine", "field"),
    [
        ({"engine": "tei", "url": "http://h"}, "name"),
        (document(engine="abacus"), "engine"),
        (document(url="file:///etc/shadow"), "url"),
        (document(url="http://user:hunter2@h"), "url"),
        (document(colour="red"), "colour"),
        (document(name="x" * 65), "name"),
    ],
)
def test_an_engine_that_the_settings_would_not_take_is_refused(
    engine: dict[str, Any], field: str
) -> None:
    with pytest.raises(WireError) as caught:
        check_engine(engine)
    assert (caught.value.reason, caught.value.field) == ("BadField", field)
    assert "hunter2" not in str(caught.value)


TOLD = Told(
    values={"deviceName": "a", "engines": [document()], "services": ["vllm"]},
    revision="7",
    applied_at="2026-11-23T08:17:33Z",
    unsupported=("sshEnabled",),
    last_id=EntryId(5, 1),
)


@pytest.mark.parametrize("told", [TOLD, Told(applied_at="2026-11-23T08:17:33Z")])
def test_what_was_told_survives_being_written_down(told: Told) -> None:
    assert told_from(told_document(told)) == told


@pytest.mark.parametrize(
    "change",
    [
        {"values": None},
        {"values": {"deviceName": 7}},
        {"values": {"engines": [document(apiKeyFile="/etc/shadow")]}},
        {"unsupported": "all"},
        {"appliedAt": None},
        {"appliedAt": "yesterday"},
        {"lastId": "seven"},
        {"revision": ["x"]},
    ],
)
def test_what_is_read_back_is_not_trusted(change: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        told_from(told_document(TOLD) | change)

"""Configuration on its way to nodes, with a stream in memory."""

import itertools
from typing import Any

import pytest

from citadel_k8s.config.agent import check_engine
from citadel_k8s.domain.desiredconfig import desired_config
from citadel_k8s.errors import StreamError
from citadel_k8s.operator.configpush import (
    AGAIN_MAX,
    FORGOTTEN_AFTER,
    SENDS_PER_TICK,
    SETTLE,
    STEADY,
    TICK,
)
from citadel_k8s.stores.configsender import Sent
from tests.unit.operator.configdesk import Desk, FakeSender


def revision(config: dict[str, Any]) -> str:
    return desired_config(config, "gpu-1", check_engine).revision


async def test_a_node_is_told_once_what_its_object_asks_for() -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(SETTLE + TICK)
    assert desk.sent == [{"deviceName": "a"}]
    assert (
        desk.record.config_wanted
        == revision({"deviceName": "a"})
        == desk.sender.messages[0].revision
    )
    desk.report(revision=desk.record.config_wanted)
    await desk.pass_time(1000)
    assert len(desk.sent) == 1


async def test_what_is_typed_in_one_go_is_sent_in_one() -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(1)
    desk.ask({"deviceName": "b"})
    await desk.pass_time(1)
    desk.ask({"deviceName": "c"})
    await desk.pass_time(10)
    assert desk.sent == [{"deviceName": "c"}]


async def test_who_changes_it_every_second_is_heard_all_the_same() -> None:
    desk = Desk()
    desk.node(config={"deviceName": "0"})
    for number in range(1, 20):
        await desk.pass_time(1)
        desk.ask({"deviceName": str(number)})
    assert 4 <= len(desk.sent) <= 10


async def test_a_change_of_anything_else_sends_nothing() -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(10)
    desk.report(revision=desk.record.config_wanted)
    desk.ask({"deviceName": "a"})
    await desk.pass_time(30)
    assert len(desk.sent) == 1


async def test_who_is_asked_for_nothing_is_told_nothing() -> None:
    desk = Desk()
    desk.node(config=None, revision="from a platform")
    desk.node("gpu-2", {})
    await desk.pass_time(200)
    assert (desk.sent, desk.record.config_wanted) == ([], None)


async def test_an_object_that_asks_for_nothing_any_more_takes_back_what_it_asked_for() -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a", "services": ["vllm"]})
    await desk.pass_time(5)
    desk.report(revision=desk.record.config_wanted)
    desk.ask(None)
    await desk.pass_time(5)
    assert desk.sent[1:] == [{"deviceName": None, "services": None}]
    desk.report(revision=desk.record.config_wanted)
    await desk.pass_time(300)
    assert len(desk.sent) == 2
    assert desk.record.config_wanted == desk.record.facts.config_revision


async def test_it_is_taken_back_even_by_an_operator_that_never_sent_it() -> None:
    desk = Desk()
    desk.node(config=None, revision=revision({"deviceName": "a"}))
    await desk.pass_time(5)
    assert desk.sent == [{"deviceName": None}]


async def test_a_node_that_reports_otherwise_for_two_intervals_is_told_again_ever_less_often() -> (
    None
):
    desk = Desk()
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(5)
    desk.report(revision="from elsewhere")
    moments: list[float] = []
    for _ in range(4 * 360):
        desk.world.clock.advance(10)
        desk.beat()
        before = len(desk.sent)
        await desk.push.turn()
        if len(desk.sent) > before:
            moments.append(desk.world.clock.monotonic())
    gaps = [round(b - a) for a, b in itertools.pairwise(moments)]
    assert gaps == sorted(gaps)
    assert 60 <= gaps[0] <= 130
    assert gaps[-1] <= AGAIN_MAX + 10
    assert len(desk.sent) < 12
    assert len({message.sent_at for message in desk.sender.messages}) == len(desk.sent)


async def test_a_node_that_keeps_what_it_was_told_is_told_quickly_again_later() -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(5)
    for _ in range(3):
        desk.report(revision="from elsewhere")
        await desk.pass_time(130)
        desk.report(revision=desk.record.config_wanted)
        await desk.pass_time(STEADY + 20)
    count = len(desk.sent)
    desk.report(revision="from elsewhere")
    await desk.pass_time(70)
    assert len(desk.sent) == count + 1


async def test_the_dead_the_leaving_and_the_late_are_told_nothing_until_they_are_back() -> None:
    desk = Desk()
    desk.node()
    await desk.pass_time(20, beating=False)
    desk.ask({"deviceName": "a"})
    await desk.pass_time(300, beating=False)
    assert (desk.sent, desk.world.state()) == ([], "Offline")
    assert desk.record.config_wanted is not None
    await desk.pass_time(30)
    assert desk.sent == [{"deviceName": "a"}]


async def test_a_node_known_from_its_object_alone_is_told_nothing() -> None:
    desk = Desk()
    desk.ask({"deviceName": "a"})
    await desk.pass_time(20)
    assert desk.sent == []


async def test_an_older_agent_is_told_nothing_because_it_would_take_what_is_for_others() -> None:
    desk = Desk()
    desk.ask({"deviceName": "a"})
    for _ in range(20):
        desk.world.beat()
        await desk.pass_time(10)
    assert desk.sent == []
    assert desk.record.config_error.startswith("NotTargeted")


async def test_what_does_not_fit_is_told_of_and_leaves_the_node_as_it_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(5)
    desk.report(revision=desk.record.config_wanted)
    desk.ask({"deviceName": "b", "customTags": ["Secret Thing"]})
    await desk.pass_time(10)
    assert len(desk.sent) == 1
    assert (desk.record.config_wanted, desk.record.config_error[:30]) == (
        None,
        "BadField at config.customTags.",
    )
    desk.ask({"deviceName": "b"})
    await desk.pass_time(10)
    assert (desk.sent[1:], desk.record.config_error) == ([{"deviceName": "b"}], None)
    assert "Secret Thing" not in "".join(capfd.readouterr())


async def test_a_configuration_that_is_none_is_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    desk.node(config=["vncPassword", "hunter2"])
    await desk.pass_time(5)
    assert desk.record.config_error == "BadField at config: an object is needed"
    assert "hunter2" not in "".join(capfd.readouterr())


async def test_secrets_are_neither_sent_nor_logged(capfd: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a", "vncPassword": "hunter2", "nodePasscode": "1234"})
    await desk.pass_time(5)
    assert desk.sent == [{"deviceName": "a"}]
    assert desk.record.config_unsupported == ("nodePasscode", "vncPassword")
    out = "".join(capfd.readouterr())
    assert "hunter2" not in out
    assert "1234" not in out


async def test_the_object_is_looked_at_when_what_is_wanted_changes() -> None:
    desk = Desk()
    desk.node()
    checks = desk.world.registry.checks
    await desk.pass_time(1)
    list(checks.pop_due(desk.world.clock.monotonic() + 1e6))
    desk.ask({"deviceName": "a"})
    list(checks.pop_due(desk.world.clock.monotonic() + 1e6))
    await desk.push.turn()
    assert checks.get("gpu-1") == desk.world.clock.monotonic()


async def test_a_standby_sends_nothing_and_knows_all_the_same() -> None:
    desk = Desk()
    desk.leads = False
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(100)
    assert (desk.sent, desk.sender.loads) == ([], 0)
    assert desk.record.config_wanted == revision({"deviceName": "a"})
    desk.leads = True
    await desk.pass_time(2)
    assert len(desk.sent) == 1


async def test_a_new_leader_does_not_send_again_what_the_one_before_has_sent() -> None:
    one = Desk()
    one.node(config={"deviceName": "a"})
    await one.pass_time(5)
    other = Desk(one.sender)
    other.node(config={"deviceName": "a"})
    await other.pass_time(15)
    assert len(other.sent) == 1
    await other.pass_time(30)
    assert len(other.sent) == 2


async def test_whoever_leads_again_learns_what_was_sent_meanwhile() -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(5)
    desk.leads = False
    desk.ask({"alertOnOffline": True})
    await desk.pass_time(5)
    desk.sender.memory["gpu-1"] = Sent(revision({"customTags": ["x"]}), 0)
    desk.leads = True
    await desk.pass_time(2)
    assert desk.sender.loads == 2
    assert desk.sent[1:] == [{"customTags": None, "alertOnOffline": True}]


async def test_what_was_sent_to_nodes_long_gone_is_forgotten() -> None:
    sender = FakeSender()
    desk = Desk(sender)
    now = desk.world.clock.now()
    sender.memory["old"] = Sent("x", now - FORGOTTEN_AFTER - 1)
    sender.memory["away"] = Sent("x", now - 60)
    await desk.push.turn()
    assert set(sender.memory) == {"away"}


async def test_an_outage_loses_nothing_and_ends_with_one_message() -> None:
    desk = Desk()
    desk.node(config={"deviceName": "a"})
    desk.sender.down = True
    for _ in range(20):
        desk.world.clock.advance(TICK)
        desk.beat()
        with pytest.raises(StreamError):
            await desk.push.turn()
    desk.sender.down = False
    await desk.pass_time(5)
    assert len(desk.sent) == 1


async def test_a_whole_fleet_is_told_at_a_pace_and_each_node_once() -> None:
    desk = Desk()
    count = SENDS_PER_TICK * 8
    for number in range(count):
        desk.node(f"n-{number}", {"deviceName": f"name {number}"})
    await desk.pass_time(SETTLE + 1)
    most = 0
    for _ in range(10):
        before = len(desk.sent)
        await desk.pass_time(1)
        most = max(most, len(desk.sent) - before)
    assert most == SENDS_PER_TICK
    assert sorted(m.node_id for m in desk.sender.messages) == sorted(
        f"n-{number}" for number in range(count)
    )


async def test_a_node_that_nothing_can_be_made_of_keeps_nothing_from_the_others() -> None:
    desk = Desk()
    deep: Any = {}
    for _ in range(100_000):
        deep = {"deep": deep}
    desk.node("odd", {"agent": {"engines": [{"name": deep}]}})
    desk.node(config={"deviceName": "a"})
    await desk.pass_time(5)
    assert desk.sent == [{"deviceName": "a"}]
    assert desk.world.registry.nodes["odd"].config_error


async def test_nodes_that_are_gone_are_not_remembered() -> None:
    desk = Desk()
    for number in range(10):
        desk.node(f"n-{number}", {"deviceName": "a"})
    await desk.pass_time(5)
    for number in range(10):
        desk.world.registry.nodes.pop(f"n-{number}")
    desk.reports.clear()
    await desk.push.turn()
    assert not desk.push._plans

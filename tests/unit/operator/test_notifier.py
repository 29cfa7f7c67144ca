import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydantic_core
import pytest
from prometheus_client import CollectorRegistry

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.config.operator import Alerts
from citadel_k8s.domain.alerts import Alert
from citadel_k8s.errors import ConfigError
from citadel_k8s.operator.letters import PAYLOAD_MAX, WAITING_MAX
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.notifier import Notifier
from citadel_k8s.stores.fake import FakeStatusStream
from tests.receivers import answer, receiving
from tests.unit.operator.fakes import World
from tests.unit.operator.newsworld import START, News, Receiver, Store, refusal


def posted(receiver: Receiver) -> list[dict[str, Any]]:
    return [alert for body in receiver.taken for alert in pydantic_core.from_json(body)]


def nodes(receiver: Receiver) -> list[str]:
    return [alert["labels"]["node"] for alert in posted(receiver)]


async def test_a_lost_node_is_fed_at_once_and_again_each_minute() -> None:
    news = News()
    news.lose("gpu-1")
    await news.tick(2)
    assert nodes(news.alertmanager) == ["gpu-1"]
    await news.tick(180)
    assert len(posted(news.alertmanager)) == 4
    ends = {alert["endsAt"] for alert in posted(news.alertmanager)}
    assert len(ends) == 4


async def test_its_start_stays_the_same_over_all_repeats() -> None:
    news = News()
    news.lose("gpu-1")
    await news.tick(200)
    assert len({alert["startsAt"] for alert in posted(news.alertmanager)}) == 1


async def test_a_node_that_is_back_is_resolved_by_its_end() -> None:
    news = News()
    news.lose("gpu-1")
    await news.tick()
    news.heal("gpu-1")
    news.board.stir("gpu-1")
    await news.tick()
    assert posted(news.alertmanager)[-1]["endsAt"] == "2026-11-23T08:01:42Z"
    await news.tick(100)
    assert len(posted(news.alertmanager)) == 2


async def test_a_mass_loss_is_one_message_and_batches_of_bounded_size() -> None:
    news = News()
    news.lose(*(f"gpu-{i}" for i in range(2500)))
    await news.tick(30)
    (message,) = news.messages
    assert len(message.firing) == 2500
    assert len(posted(news.alertmanager)) == 2500
    assert max(map(len, news.alertmanager.taken)) <= 64 * 1024


async def test_a_change_of_reason_ends_one_alert_and_begins_another() -> None:
    news = News()
    news.lose("gpu-1")
    await news.tick()
    record = news.world.registry.nodes["gpu-1"]
    record.live = replace(record.live, reason="NodeNotReady")
    news.board.stir("gpu-1")
    await news.tick()
    last = posted(news.alertmanager)[-2:]
    assert [a["labels"]["reason"] for a in last] == ["AgentSilent", "NodeNotReady"]


async def test_maintenance_and_deletion_end_an_alert_though_nobody_told() -> None:
    news = News()
    news.lose("gpu-1", "gpu-2")
    await news.tick()
    record = news.world.registry.nodes["gpu-1"]
    record.live = replace(record.live, maintenance=True)
    del news.world.registry.nodes["gpu-2"]
    await news.tick(16)
    assert news.board.firing == {}
    assert len(posted(news.alertmanager)) == 4


async def test_alerts_about_the_fleet_are_told_too() -> None:
    news = News()
    news.others = [Alert("HeartbeatPipelineDown", "ReaderDown", "critical", "no Redis", START)]
    await news.tick(12)
    assert "node" not in posted(news.alertmanager)[0]["labels"]
    (message,) = news.messages
    assert message.key.name == "HeartbeatPipelineDown"
    news.others = []
    await news.tick(80)
    assert news.messages[-1].status == "resolved"


async def test_who_does_not_lead_tells_nothing() -> None:
    news = News()
    news.leading = False
    news.lose("gpu-1")
    await news.tick(100)
    assert news.alertmanager.tries == news.people.tries == 0


async def test_who_no_longer_leads_stops_between_two_requests() -> None:
    news = News()
    news.lose(*(f"gpu-{i}" for i in range(500)))

    async def depose(body: bytes) -> None:
        news.alertmanager.taken.append(body)
        news.leading = False

    news.alertmanager.send = depose  # type: ignore[method-assign]
    await news.tick()
    assert len(news.alertmanager.taken) == 1


async def test_a_new_leader_repeats_no_message_and_tells_what_is_over() -> None:
    old = News()
    old.lose("gpu-1", "gpu-2")
    await old.tick(15)
    assert len(old.messages) == 1
    new = News(old.book)
    new.lose("gpu-1")
    await new.tick(100)
    (message,) = new.messages
    assert (message.over, message.fresh) == (("gpu-2",), 0)
    assert nodes(new.alertmanager)[0] == "gpu-1"


async def test_without_redis_a_new_leader_tells_after_a_while() -> None:
    news = News()
    news.book.down = "away"
    news.lose("gpu-1")
    await news.tick(29)
    assert news.messages == []
    assert posted(news.alertmanager) != []  # which needs no memory
    await news.tick(20)
    assert len(news.messages) == 1


async def test_what_could_not_be_noted_is_noted_later() -> None:
    news = News()
    news.lose("gpu-1")
    await news.tick(3)
    news.book.down = "away"
    await news.tick(20)
    assert len(news.messages) == 1
    news.book.down = ""
    await news.tick()
    assert await news.book.load_snapshot("citadel:operator:alerts:webhook") != {}


async def test_an_alertmanager_that_restarted_has_all_within_a_minute() -> None:
    news = News()
    news.lose(*(f"gpu-{i}" for i in range(300)))
    await news.tick(30)
    news.alertmanager.taken.clear()
    await news.tick(60)
    assert len(set(nodes(news.alertmanager))) == 300


async def test_a_receiver_in_trouble_is_tried_seldom_and_told_the_latest() -> None:
    news = News()
    news.people.fault = refusal()
    news.lose("gpu-1")
    await news.tick(300)
    assert 5 <= news.people.tries <= 12
    assert news.value("alert_receiver_failing_seconds", receiver="webhook") is not None
    news.lose("gpu-2")
    news.people.fault = None
    await news.tick(130)
    (message,) = news.messages
    assert {a.node for a in message.firing} == {"gpu-1", "gpu-2"}
    assert news.value("alert_receiver_failing_seconds", receiver="webhook") == 0


async def test_a_wait_that_a_receiver_asks_for_is_kept() -> None:
    news = News()
    news.alertmanager.fault = refusal(wait=50)
    news.lose("gpu-1")
    await news.tick(49)
    assert news.alertmanager.tries == 1
    await news.tick(3)
    assert news.alertmanager.tries == 2


async def test_one_receivers_trouble_is_not_the_others() -> None:
    news = News()
    news.alertmanager.fault = RuntimeError("a bug")
    news.lose("gpu-1")
    await news.tick(15)
    assert len(news.messages) == 1


async def bury(news: News) -> None:
    task = asyncio.get_running_loop().create_task(news.letters.run())
    await asyncio.sleep(0.01)
    task.cancel()


async def test_what_is_refused_is_a_dead_letter_and_not_tried_again() -> None:
    news = News()
    news.people.fault = refusal(final=True)
    news.lose("gpu-1")
    await news.tick(600)
    assert news.people.tries == 1
    await bury(news)
    (letter,) = [x for x in news.store.letters if x["original_queue"] == "alerts:webhook"]
    assert letter["reason"] == "http://x: no"
    assert "gpu-1" in letter["payload"]
    assert news.value("alert_deliveries_total", receiver="webhook", result="refused") == 1
    assert news.value("alert_dead_letters_total", result="kept") == 1


async def test_what_alertmanager_refuses_again_and_again_is_a_letter_each_quarter() -> None:
    news = News()
    news.alertmanager.fault = refusal(final=True)
    news.lose("gpu-1")
    await news.tick(1000)
    await bury(news)
    assert news.alertmanager.tries == 17
    assert len(news.store.letters) == 2


async def test_an_outage_of_ten_minutes_is_a_dead_letter_while_the_trying_goes_on() -> None:
    news = News()
    news.people.fault = refusal()
    news.lose("gpu-1")
    await news.tick(560)
    await bury(news)
    assert news.store.letters == []
    await news.tick(140)
    await bury(news)
    assert len(news.store.letters) == 1
    news.people.fault = None
    await news.tick(70)
    assert len(news.messages) == 1


async def test_letters_that_cannot_be_kept_push_out_the_oldest_and_are_counted() -> None:
    news = News()
    for number in range(WAITING_MAX + 10):
        news.letters.put("webhook", str(number), "why", "x" * 2 * PAYLOAD_MAX)
    assert news.value("alert_dead_letters_total", result="dropped") == 10
    news.store.down = True
    await bury(news)
    assert news.store.letters == []
    news.store.down = False
    await bury(news)
    assert len(news.store.letters) == WAITING_MAX
    assert news.store.letters[0]["original_message_id"] == "10"
    assert len(news.store.letters[0]["payload"]) == PAYLOAD_MAX


async def test_kinds_without_end_are_told_at_a_bounded_rate() -> None:
    news = News()
    names = [f"gpu-{i}" for i in range(200)]
    news.lose(*names)
    for name in names:
        record = news.world.registry.nodes[name]
        record.live = replace(record.live, reason=f"Odd{name}")
    await news.tick(30)
    assert len(news.messages) <= 5 + 0.5 * 30


async def test_what_fires_is_counted_by_alert() -> None:
    news = News()
    news.lose("gpu-1", "gpu-2")
    await news.tick()
    assert news.value("alerts_firing", alert="NodeOffline") == 2
    news.heal("gpu-1", "gpu-2")
    await news.tick(16)
    assert news.value("alerts_firing", alert="NodeOffline") == 0


def notifier(world: World, settings: Alerts, metrics: NewsMetrics | None = None) -> Notifier:
    return Notifier(
        settings,
        world.registry,
        SystemClock(),
        metrics or NewsMetrics(CollectorRegistry()),
        lambda: True,
        book=FakeStatusStream(),
        store=Store(),
        tick=0.01,
    )


async def test_all_ways_of_the_settings_are_used_and_closed(tmp_path: Path) -> None:
    async with receiving() as receiver, receiving(answer(503)) as broken:
        (tmp_path / "secret").write_text("s3cret")
        (tmp_path / "slack").write_text(receiver.url + "/slack")
        settings = Alerts(
            alertmanager_url=receiver.url,
            webhook_url=broken.url,
            secret_file=tmp_path / "secret",
            slack_url_file=tmp_path / "slack",
            group_wait_seconds=0,
        )
        world = World()
        world.beat()
        world.clock.advance(100)
        world.silence()
        task = asyncio.get_running_loop().create_task(notifier(world, settings).run())
        async with asyncio.timeout(5):
            await broken.arrived.wait()
            while len(receiver.requests) < 2:  # noqa: ASYNC110 - two of one server
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert {r.path for r in receiver.requests} == {"/api/v2/alerts", "/slack"}


async def test_with_nobody_to_tell_it_still_counts_what_fires() -> None:
    exposed = CollectorRegistry()
    world = World()
    world.beat()
    world.clock.advance(100)
    world.silence()
    await notifier(world, Alerts(), NewsMetrics(exposed)).refresh()
    labels = {"alert": "NodeOffline"}
    assert exposed.get_sample_value("citadel_operator_alerts_firing", labels) == 1


def test_a_label_that_cannot_be_one_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="externalLabels"):
        notifier(World(), Alerts(external_labels={"a b": "c"}))


async def test_a_node_of_which_nothing_can_be_made_ends_nothing() -> None:
    world = World()
    world.beat()
    part = notifier(world, Alerts())
    world.registry.nodes["gpu-1"].live = None  # type: ignore[assignment]
    await part.refresh()

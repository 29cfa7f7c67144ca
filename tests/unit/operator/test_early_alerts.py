"""A closed way is told by an operator, too, that begins while it is closed."""

from citadel_k8s.domain.alerts import pipeline_alert
from tests.unit.operator.newsworld import News
from tests.unit.operator.test_notifier import nodes, posted


async def early(news: News, seconds: int = 1) -> None:
    for _ in range(seconds):
        news.clock.advance(1.0)
        news.board.refresh_early()
        await news.feed.once()
        await news.messenger.once()


def names(news: News) -> list[str]:
    return [alert["labels"]["alertname"] for alert in posted(news.alertmanager)]


async def test_an_alert_about_the_way_goes_on_firing_over_a_restart_while_redis_is_away() -> None:
    news = News()
    news.lose("gpu-1")
    news.others = [pipeline_alert("ReaderDown", "refused", news.clock.now())]
    await early(news, 130)
    assert names(news) == ["HeartbeatPipelineDown"] * 3
    assert news.messages == []  # what was told before is in Redis, and cannot be asked
    news.others = []
    await news.tick(2)
    told = posted(news.alertmanager)[3:]
    assert [alert["labels"]["alertname"] for alert in told] == [
        "HeartbeatPipelineDown",  # over
        "NodeOffline",
    ]
    assert not news.board.early


async def test_what_a_new_term_does_not_know_yet_is_not_over() -> None:
    news = News()
    news.lose("gpu-1")
    await news.tick(2)
    assert nodes(news.alertmanager) == ["gpu-1"]
    ends = posted(news.alertmanager)[0]["endsAt"]
    await early(news, 5)
    assert len(posted(news.alertmanager)) == 1
    await news.tick(2)
    assert nodes(news.alertmanager) == ["gpu-1", "gpu-1"]
    assert posted(news.alertmanager)[1]["endsAt"] > ends


async def test_who_no_longer_leads_tells_nothing_of_the_way() -> None:
    news = News()
    news.others = [pipeline_alert("ReaderDown", "refused", news.clock.now())]
    await early(news)
    news.leading = False
    await news.tick(200)
    assert names(news) == ["HeartbeatPipelineDown"]
    assert news.board.firing == {}

"""What the API is built of, and what it is not built on."""

import pytest

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.api.between import ports_behind
from citadel_k8s.api.wiring import Api
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.errors import ConfigError


async def test_a_redis_cluster_is_refused_at_the_start():
    settings = ApiSettings(
        database_url="postgresql://h/d", redis_url="redis+cluster://user:secret@h:1"
    )
    with pytest.raises(ConfigError, match="redisUrl") as caught:
        await Api.build(settings, SystemClock())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("database", "redis", "ports"),
    [
        ("postgresql://u:p@h/d", "redis://h", {5432, 6379}),
        ("postgresql://a:6432,b:7432/d", "rediss://:x@h:7000/1", {6432, 7432, 7000}),
        ("postgresql:///d?host=/tmp&port=6000", "unix:///tmp/s", {6000}),
        ("postgresql://h/d", "redis+sentinel://s:26000,t/main/0", {5432, 26000, 26379}),
        ("postgres://h", None, {5432}),
    ],
)
def test_the_ports_of_what_is_behind_the_api_are_known(
    database: str, redis: str | None, ports: set[int]
):
    assert ports_behind(ApiSettings(database_url=database, redis_url=redis)) == ports


async def test_without_a_database_nothing_is_built():
    with pytest.raises(ConfigError, match="databaseUrl"):
        await Api.build(ApiSettings(), SystemClock())

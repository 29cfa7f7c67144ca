"""What the API is built of, and what it is not built on."""

import pytest

from citadel_k8s.aio.clock import SystemClock
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


async def test_without_a_database_nothing_is_built():
    with pytest.raises(ConfigError, match="databaseUrl"):
        await Api.build(ApiSettings(), SystemClock())

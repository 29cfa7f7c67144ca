"""Dead letters on a real server, also one that hangs."""

import asyncio

import pytest

from citadel_k8s.errors import StreamError
from citadel_k8s.local.valkey import Valkey
from citadel_k8s.stores.deadletters import RedisDeadLetters


async def test_the_stream_of_letters_stays_short(own_valkey: Valkey) -> None:
    letters = RedisDeadLetters(own_valkey.url, stream="dlq:test", max_length=100)
    for number in range(500):
        await letters.bury({"reason": str(number)})
    await letters.close()
    length = int((await own_valkey.ask("XLEN dlq:test")).removeprefix(":"))
    assert 100 <= length <= 200


async def test_a_server_that_hangs_or_is_away_is_an_error_in_time(own_valkey: Valkey) -> None:
    letters = RedisDeadLetters(own_valkey.url)
    await letters.bury({"reason": "x"})
    await own_valkey.pause()
    async with asyncio.timeout(10):
        with pytest.raises(StreamError, match="no answer within"):
            await letters.bury({"reason": "x"})
    await own_valkey.resume()
    await own_valkey.kill()
    with pytest.raises(StreamError, match="dlq:v1:alerts"):
        await letters.bury({"reason": "x"})
    await letters.close()

"""The operator's connections end with it, in good times and bad."""

import asyncio
from dataclasses import fields

from citadel_k8s.errors import StreamError
from citadel_k8s.operator.stores import Stores


class Store:
    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.closed = False

    async def close(self) -> None:
        self.asked.set()
        raise StreamError("closing: no answer within 3 s")


async def test_a_server_that_hangs_keeps_no_connection_from_being_closed() -> None:
    stores = Stores(**{field.name: Store() for field in fields(Stores)})
    await stores.close()
    assert all(getattr(stores, field.name).asked.is_set() for field in fields(Stores))


async def test_they_are_closed_side_by_side() -> None:
    barrier = asyncio.Barrier(len(fields(Stores)))

    class Slow(Store):
        async def close(self) -> None:
            await barrier.wait()

    async with asyncio.timeout(5):
        await Stores(**{field.name: Slow() for field in fields(Stores)}).close()

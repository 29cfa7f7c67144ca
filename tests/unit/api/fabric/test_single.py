import asyncio

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.fabric.single import Single
from citadel_k8s.errors import DatabaseError


class Store:
    def __init__(self, clock: ManualClock) -> None:
        self.reads, self.let, self.fails, self.clock = 0, asyncio.Event(), False, clock
        self.let.set()

    async def read(self, key: str) -> str:
        self.reads += 1
        number = self.reads
        await self.let.wait()
        if self.fails:
            raise DatabaseError("away")
        return f"{key}{number}"


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_is_read_once_while_it_holds() -> None:
    clock = ManualClock()
    store = Store(clock)
    single = Single(store.read, clock, hold=1.0)

    assert [await single.get("a") for _ in range(3)] == ["a1"] * 3
    clock.advance(0.9)
    assert await single.get("a") == "a1"
    clock.advance(0.2)
    assert await single.get("a") == "a2"
    assert await single.get("b") == "b3"


async def test_who_asks_meanwhile_waits_for_the_same_reading() -> None:
    clock = ManualClock()
    store = Store(clock)
    single = Single(store.read, clock, hold=1.0)
    store.let.clear()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(single.get("a")) for _ in range(20)]
        await settle()
        store.let.set()

    assert {task.result() for task in asking} == {"a1"}


async def test_when_the_reader_is_called_off_the_next_one_reads() -> None:
    clock = ManualClock()
    store = Store(clock)
    single = Single(store.read, clock, hold=1.0)
    store.let.clear()
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(single.get("a")) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        store.let.set()

    assert (first.cancelled(), second.result()) == (True, "a2")


async def test_a_failure_is_shared_and_soon_over() -> None:
    clock = ManualClock()
    store = Store(clock)
    single = Single(store.read, clock, hold=1.0)
    store.fails = True
    for _ in range(5):
        with pytest.raises(DatabaseError, match="away"):
            await single.get("a")
    assert store.reads == 1

    store.fails = False
    clock.advance(1.1)
    assert await single.get("a") == "a2"


async def test_what_is_forgotten_is_read_anew() -> None:
    clock = ManualClock()
    single = Single(Store(clock).read, clock, hold=1.0)
    await single.get("a")
    single.forget("a")
    single.forget("never asked for")

    assert single.last("a") == "a1"
    assert await single.get("a") == "a2"


async def test_what_nobody_asks_for_is_let_go() -> None:
    clock = ManualClock()
    single = Single(Store(clock).read, clock, hold=1.0)
    for number in range(200):
        await single.get(str(number))
    assert single.last("0") is None
    assert single.last("199") is not None

    clock.advance(300)
    await single.get("new")
    assert single.last("199") is None

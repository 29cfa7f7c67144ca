import asyncio
import threading

import pytest

from citadel_k8s.aio.patience import Patience


async def test_each_reading_is_a_new_one() -> None:
    numbers = iter((1, 2))
    patience = Patience(lambda: next(numbers), 5)
    assert [await patience.read(), await patience.read()] == [1, 2]


async def test_an_error_is_that_of_the_reading_and_the_next_one_is_made() -> None:
    tries = iter((ValueError("unreadable"), None))

    def read() -> str:
        if error := next(tries):
            raise error
        return "read"

    patience = Patience(read, 5)
    with pytest.raises(ValueError, match="unreadable"):
        await patience.read()
    assert await patience.read() == "read"


async def test_a_reading_that_hangs_costs_one_thread_and_is_given_up_in_time() -> None:
    gate = threading.Event()
    begun: list[int] = []

    def read() -> str:
        begun.append(1)
        gate.wait(10)
        return "late"

    patience = Patience(read, 0.05)
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await patience.read()
        assert loop.time() - started < 2
        assert len(begun) == 1
    finally:
        gate.set()
    assert await Patience(read, 5).read() == "late"

import asyncio

import pytest

from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.live.turns import Turns


class Node:
    """Answers when let."""

    def __init__(self) -> None:
        self.asked, self.let = 0, asyncio.Event()

    async def ask(self) -> str:
        self.asked += 1
        number = self.asked
        await self.let.wait()
        return f"answer {number}"


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_at_the_same_time_gets_the_same_answer() -> None:
    turns, node = Turns[str](), Node()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(turns.shared("o", "n", node.ask)) for _ in range(50)]
        await settle()
        node.let.set()

    assert {task.result() for task in asking} == {"answer 1"}
    assert node.asked == 1


async def test_an_answer_is_given_for_a_moment_and_then_no_more() -> None:
    turns, node = Turns[str](hold=0.05), Node()
    node.let.set()

    assert [await turns.shared("o", "n", node.ask) for _ in range(2)] == ["answer 1"] * 2
    await asyncio.sleep(0.1)
    assert await turns.shared("o", "n", node.ask) == "answer 2"


async def test_the_same_id_in_two_orgs_is_two_nodes() -> None:
    turns, one, other = Turns[str](), Node(), Node()
    one.let.set()
    other.let.set()
    await turns.shared("o", "n", one.ask)
    await turns.shared("p", "n", other.ask)

    assert (one.asked, other.asked) == (1, 1)


async def test_when_the_one_who_asks_is_called_off_another_one_asks() -> None:
    turns, node = Turns[str](), Node()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(turns.shared("o", "n", node.ask))
        await settle()
        second = group.create_task(turns.shared("o", "n", node.ask))
        third = group.create_task(turns.shared("o", "n", node.ask))
        await settle()
        first.cancel()
        await settle()
        node.let.set()

    assert first.cancelled()
    assert (second.result(), third.result()) == ("answer 2", "answer 2")


async def test_who_waits_can_be_called_off_without_harm() -> None:
    turns, node = Turns[str](), Node()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(turns.shared("o", "n", node.ask))
        await settle()
        waiting = group.create_task(turns.shared("o", "n", node.ask))
        await settle()
        waiting.cancel()
        await settle()
        node.let.set()

    assert first.result() == "answer 1"
    assert waiting.cancelled()


async def test_only_so_many_are_asked_at_once() -> None:
    turns, node = Turns[str](all_at_once=3, org_at_once=2), Node()
    async with asyncio.TaskGroup() as group:
        for org, name in (("o", "1"), ("o", "2"), ("p", "3")):
            group.create_task(turns.shared(org, name, node.ask))
        await settle()
        for org in ("o", "q"):
            with pytest.raises(RefusalError) as caught:
                await turns.shared(org, "4", node.ask)
            assert (caught.value.status, caught.value.retry_after) == (429, 1)
        # Who joins a question under way takes no place.
        joined = group.create_task(turns.shared("o", "1", node.ask))
        await settle()
        node.let.set()

    assert joined.done()
    assert await turns.shared("o", "4", node.ask) == "answer 4"


async def test_a_failure_gives_the_place_back() -> None:
    turns = Turns[str](all_at_once=1)

    async def fails() -> str:
        raise ValueError("broken")

    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            await turns.shared("o", "n", fails)


async def test_old_answers_are_let_go() -> None:
    turns, node = Turns[str](hold=0), Node()
    node.let.set()
    for number in range(100):
        await turns.shared("o", str(number), node.ask)
        await asyncio.sleep(0)

    assert len(turns._flights) <= 2

import asyncio
import json
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from citadel_k8s.api.fabric.lastword import LastWord
from citadel_k8s.api.frame.route import Call
from citadel_k8s.api.live.asking import Place
from citadel_k8s.api.live.failure import LiveError, Step
from citadel_k8s.api.live.live import Live
from citadel_k8s.domain.life import Policy
from citadel_k8s.models.identity import Principal, Role
from citadel_k8s.stores.postgres.fleet import NodeRow
from tests.unit.api.live.nodes import body
from tests.unit.api.live.rows import node

Answers = Callable[[Place, Any], Any]


class Nodes:
    """One node; its rows are given one after another, the last one for ever."""

    def __init__(self, *rows: NodeRow) -> None:
        self.rows = list(rows)

    async def node(self, org_id: str, name: str) -> NodeRow | None:
        return self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]


class Somewhere:
    def __init__(self, *addresses: str, error: LiveError | None = None) -> None:
        self.places = [Place(ip_address(text), 8080) for text in addresses]
        self.error = error

    async def of(self, *_: Any) -> list[Place]:
        if self.error:
            raise self.error
        return self.places


class Asked:
    """Answers as told; ``calls`` are the questions."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.calls: list[tuple[str, bool]] = []

    async def ask(self, place: Place, *, connect: float, until: float, fresh: bool) -> bytes:
        self.calls.append((place.where, fresh))
        given = self.answers(place, fresh)
        if given is None:
            await asyncio.sleep(max(0, until - asyncio.get_running_loop().time()))
            raise LiveError(Step.TIMEOUT, "late")
        if isinstance(given, LiveError):
            raise given
        return given


class Channel:
    def __init__(self, answer: bytes | None) -> None:
        self.answer, self.asked = answer, []

    async def ask(self, org_id: str, node_id: str, deadline: float) -> bytes | None:
        self.asked.append((org_id, node_id, deadline > asyncio.get_running_loop().time()))
        return self.answer


class Request:
    match_info = {"node_id": "a"}  # noqa: RUF012 - nobody changes it


async def answer(
    asked: Asked, *rows: NodeRow, where: Somewhere | None = None, **more: Any
) -> dict[str, Any]:
    words = LastWord(Nodes(*(rows or (node({"nodeId": "a", "seq": 1}),))), None, Policy())
    live = Live(words, where or Somewhere("100.64.0.1"), asked, **more)  # type: ignore[arg-type]
    principal = Principal("user", "acme", "user:1", role=Role.VIEWER)
    response = await live(Call(Request(), "r1", "::1", principal))  # type: ignore[arg-type]
    return json.loads(response.body)


async def test_a_node_that_answers_is_live() -> None:
    found = await answer(Asked(lambda *_: body(more=["ä"])))

    assert found["live"] is True
    assert (found["address"], found["fresh"], found["age"]) == ("100.64.0.1:8080", True, 0.0)
    assert found["status"]["more"] == ["ä"]
    assert found["node"]["id"] == "a"
    assert found["seconds"] < 1


async def test_one_that_does_not_comes_with_its_last_word() -> None:
    for step in Step:
        found = await answer(Asked(lambda *_, step=step: LiveError(step, "a sentence")))

        assert (found["live"], found["step"], found["message"]) == (False, step, "a sentence")
        assert (found["age"], found["status"]["seq"], found["complete"]) == (5.0, 1, False)


async def test_another_address_is_tried_and_the_furthest_failure_told() -> None:
    def only_the_second(place: Place, _fresh: object) -> Any:
        second = place.where.startswith("100.64.0.2")
        return body() if second else LiveError(Step.CONNECT, "no way")

    found = await answer(Asked(only_the_second), where=Somewhere("100.64.0.1", "100.64.0.2"))
    assert (found["live"], found["address"]) == (True, "100.64.0.2:8080")

    def worse_and_worse(place: Place, _fresh: object) -> Any:
        second = place.where.startswith("100.64.0.2")
        return LiveError(Step.AUTH, "auth") if second else LiveError(Step.CONNECT, "no way")

    found = await answer(Asked(worse_and_worse), where=Somewhere("100.64.0.2", "100.64.0.1"))
    assert found["step"] == "auth"


async def test_a_slow_node_tells_at_least_what_it_knows() -> None:
    asked = Asked(lambda _place, fresh: None if fresh else body())
    found = await answer(asked, deadline=0.6)

    assert (found["live"], found["fresh"]) == (True, False)
    assert asked.calls == [("100.64.0.1:8080", True), ("100.64.0.1:8080", False)]


async def test_silence_ends_at_the_deadline() -> None:
    began = asyncio.get_running_loop().time()
    found = await answer(
        Asked(lambda *_: None), where=Somewhere("100.64.0.1", "100.64.0.2"), deadline=0.2
    )

    assert (found["live"], found["step"]) == (False, "timeout")
    assert asyncio.get_running_loop().time() - began < 1.0


async def test_who_answers_in_the_nodes_place_is_not_believed() -> None:
    for other in (
        body("b"), body("a", "b2"), body("a", None), b'{"node": {"name": "b"}}', b"{}", b"[]",
    ):  # fmt: skip
        found = await answer(Asked(lambda *_, other=other: other))
        assert (found["live"], found["step"] in {"identity", "body"}) == (False, True)


async def test_an_agent_that_has_just_started_anew_is_known_by_its_first_heartbeat() -> None:
    before, after = node(), node(boot_id="b2")

    found = await answer(Asked(lambda *_: body("a", "b2")), before, after)

    assert found["live"] is True


async def test_a_node_without_process_ids_is_known_by_its_name() -> None:
    found = await answer(Asked(lambda *_: b'{"node": {"name": "a"}}'), node(boot_id=None))

    assert found["live"] is True


async def test_where_no_way_leads_the_node_is_asked_by_its_own_connection() -> None:
    channel = Channel(body())
    for step in (Step.ADDRESS, Step.RESOLVE):
        where = Somewhere(error=LiveError(step, "nowhere"))
        found = await answer(Asked(lambda *_: b""), where=where, channel=channel)
        assert (found["live"], found["address"]) == (True, "websocket")
    found = await answer(Asked(lambda *_: LiveError(Step.CONNECT, "no way")), channel=channel)
    assert found["live"] is True
    assert channel.asked == [("acme", "a", True)] * 3


async def test_a_node_that_was_reached_is_not_asked_in_another_way() -> None:
    channel = Channel(body())
    found = await answer(Asked(lambda *_: LiveError(Step.AUTH, "no")), channel=channel)

    assert (found["step"], channel.asked) == ("auth", [])


async def test_its_own_connection_may_be_silent_or_somebody_elses() -> None:
    where = Somewhere(error=LiveError(Step.ADDRESS, "nowhere"))
    for said, step in ((None, "address"), (body("b"), "identity"), (b"x", "body")):
        found = await answer(Asked(lambda *_: b""), where=where, channel=Channel(said))
        assert (found["live"], found["step"]) == (False, step)


async def test_nobody_is_asked_where_that_is_turned_off() -> None:
    asked = Asked(lambda *_: body())
    found = await answer(asked, enabled=False)

    assert (found["step"], "live.enabled" in found["message"]) == ("address", True)
    assert asked.calls == []


async def test_a_node_that_never_spoke_has_no_last_word() -> None:
    silent = node(stream_ms=None, verdict=None, state=None, profile=None, pulse=None, boot_id=None)
    found = await answer(Asked(lambda *_: LiveError(Step.CONNECT, "no way")), silent)

    assert (found["live"], found["complete"], "age" in found, "status" in found) == (
        False, False, False, False,
    )  # fmt: skip

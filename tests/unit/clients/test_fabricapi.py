from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from citadel_k8s.clients import fabricapi
from citadel_k8s.clients.fabricapi import ApiFleet
from citadel_k8s.clients.fabrichttp import ApiHttp
from citadel_k8s.clients.fleet import Asked, Change, FleetError, NotFoundError
from tests.unit.clients.fakeapi import FakeApi, event, serving

NODES = "/api/fabric/nodes"


def a_row(node: str, state: str = "Online", **changes: Any) -> dict[str, Any]:
    return {"id": node, "state": state, "profile": {"name": node}, "pulse": {}, **changes}


@pytest.fixture
async def server() -> AsyncIterator[FakeApi]:
    async with serving() as started:
        yield started


@pytest.fixture
async def fleet(server: FakeApi, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiFleet]:
    monkeypatch.setattr(fabricapi, "RETRY_FIRST", 0.01)
    opened = ApiFleet(ApiHttp(server.url, "act_x", timeout=2), jitter=lambda: 0.0)
    yield opened
    await opened.close()


async def changes(fleet: ApiFleet, count: int, what: Any = "nodes") -> list[Change]:
    found: list[Change] = []
    async with aclosing(fleet.watch(what)) as watch:
        async for change in watch:
            found.append(change)
            if len(found) == count:
                break
    return found


async def test_rows_of_all_pages_are_put_in_order(server: FakeApi, fleet: ApiFleet):
    async def page(request: web.Request) -> web.Response:
        if "cursor" in request.query:
            return web.json_response([a_row("a"), "no row"])
        return web.json_response([a_row("b", "Offline")], headers={"X-Next-Cursor": "2"})

    server.answers[NODES] = page
    assert [row["id"] for row in await fleet.nodes()] == ["b", "a"]
    assert [row["id"] for row in await fleet.nodes(Asked(state="online"))] == ["a"]


async def test_a_cursor_that_leads_in_a_circle_ends(server: FakeApi, fleet: ApiFleet):
    server.tell(NODES, [], headers={"X-Next-Cursor": "again"})
    assert await fleet.nodes() == []
    assert len(server.asked) == fabricapi.PAGES_MAX


async def test_nodes_that_were_given_up_are_asked_for_by_their_state(
    server: FakeApi, fleet: ApiFleet
):
    server.tell(NODES, [a_row("x", "Decommissioned")])
    assert len(await fleet.nodes(Asked(state="Decommissioned"))) == 1
    assert server.asked[0].query["state"] == "Decommissioned"


async def test_a_node_is_found_by_its_id_and_else_by_what_people_call_it(
    server: FakeApi, fleet: ApiFleet
):
    server.tell(NODES, [a_row("id-1", profile={"name": "Big Box"})])
    server.tell(f"{NODES}/id-1", {"node": a_row("id-1")})
    assert (await fleet.node("id-1"))["node"]["id"] == "id-1"
    assert (await fleet.node("Big Box"))["node"]["id"] == "id-1"
    with pytest.raises(NotFoundError, match=r'fabricnodes.fabric.aceteam.ai "nope" not found'):
        await fleet.node("nope")


async def test_two_nodes_of_one_name_are_not_confused(server: FakeApi, fleet: ApiFleet):
    server.tell(NODES, [a_row(i, profile={"name": "twin"}) for i in ("a", "b")])
    with pytest.raises(NotFoundError):
        await fleet.live("twin")


async def test_events_come_the_oldest_first(server: FakeApi, fleet: ApiFleet):
    server.tell("/api/fabric/events/list", [{"id": "2"}, {"id": "1"}])
    assert [e["id"] for e in await fleet.events(node="a", since=0.0, most=2)] == ["1", "2"]
    query = server.asked[0].query
    assert (query["node"], query["since"], query["limit"]) == ("a", "1970-01-01T00:00:00Z", "2")


async def test_models_are_asked_for_by_a_part_of_their_name(server: FakeApi, fleet: ApiFleet):
    server.tell("/api/fabric/models", [{"model": "m"}])
    assert await fleet.models("m") == [{"model": "m"}]
    assert server.asked[0].query["q"] == "m"


async def test_a_watch_tells_all_then_whole_rows(server: FakeApi, fleet: ApiFleet):
    server.streams = [
        [
            event("snapshot", [a_row("a"), a_row("b", "Offline")], "1-0"),
            event("time", {"now": "x"}),
            event("node", {"type": "node", "id": "a", "state": "Stale", "reason": "Late"}, "2-0"),
            b"event: node\ndata: {broken\n\n",
            event("gone", {"type": "gone", "id": "b"}, "3-0"),
            1.0,
        ]
    ]
    first, second, third = await changes(fleet, 3)
    assert [row["id"] for row in first.rows] == ["b", "a"]
    assert second.row == a_row("a", "Stale", reason="Late")
    assert (third.kind, third.id, third.row) == ("gone", "b", a_row("b", "Offline"))


async def test_after_a_cut_a_watch_goes_on_where_it_was(server: FakeApi, fleet: ApiFleet):
    later = event("node", {"type": "node", "id": "a", "state": "Stale"}, "2-0")
    server.streams = [[event("snapshot", [a_row("a")], "1-0")], [later, 1.0]]
    found = await changes(fleet, 4)
    assert [change.kind for change in found] == ["all", "cut", "back", "node"]
    assert "ended the stream" in found[1].message
    assert server.asked[1].headers["Last-Event-ID"] == "1-0"
    assert found[3].row == a_row("a", "Stale")


async def test_after_a_reset_the_place_is_forgotten(server: FakeApi, fleet: ApiFleet):
    server.streams = [
        [event("snapshot", [], "1-0"), event("reset", {"reason": "missed"})],
        [event("snapshot", [a_row("a")], "9-0"), 1.0],
    ]
    found = await changes(fleet, 4)
    assert [change.kind for change in found] == ["all", "cut", "back", "all"]
    assert "Last-Event-ID" not in server.asked[1].headers


async def test_a_watch_of_events_tells_when_it_stands_and_then_what_happens(
    server: FakeApi, fleet: ApiFleet
):
    happening = {"id": "7", "node": "a", "reason": "GpuLost"}
    server.streams = [
        [
            event("snapshot", [a_row("a")], "1-0"),
            event("event", {"type": "event", "id": "a", "event": happening}, "2-0"),
            1.0,
        ]
    ]
    first, second = await changes(fleet, 2, "events")
    assert (first.kind, first.rows, second.event) == ("all", [], happening)


@pytest.mark.parametrize(
    "cut",
    [
        [event("time", {}, "1-0"), event("reset", {"reason": "missed"}), event("time", {}, "9-0")],
        [event("time", {}, "1-0"), event("reset", {"reason": "missed"})],
    ],
)
async def test_after_a_reset_what_happened_is_to_be_asked_for_again(
    server: FakeApi, fleet: ApiFleet, cut: list[bytes | float]
):
    server.streams = [cut, [event("time", {}, "9-0"), 1.0]]
    found = [change.kind for change in await changes(fleet, 4, "events")]
    assert found.count("all") == 2


async def test_before_there_is_a_place_in_the_stream_nothing_stands(
    server: FakeApi, fleet: ApiFleet
):
    happened = event("event", {"id": "a", "event": {"reason": "GpuLost"}}, "1-0")
    server.streams = [[event("time", {"stale": True}), happened, event("time", {}, "1-0"), 1.0]]
    assert [change.kind for change in await changes(fleet, 2, "events")] == ["event", "all"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_watch_that_is_refused_is_not_tried_again(
    server: FakeApi, fleet: ApiFleet, status: int
):
    server.tell("/api/fabric/events", {"error": "forbidden"}, status)
    with pytest.raises(FleetError):
        await changes(fleet, 1)
    assert len(server.asked) == 1


async def test_a_server_that_is_away_for_a_while_is_waited_for(server: FakeApi, fleet: ApiFleet):
    server.tell("/api/fabric/events", {"error": "unavailable"}, 503)
    first, second = await changes(fleet, 2)
    assert first.kind == second.kind == "cut"
    assert second.seconds > first.seconds


async def test_what_is_no_stream_is_told(server: FakeApi, fleet: ApiFleet):
    server.tell("/api/fabric/events", {})
    assert "no stream" in (await changes(fleet, 1))[0].message

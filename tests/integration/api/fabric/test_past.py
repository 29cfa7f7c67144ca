from datetime import UTC, datetime, timedelta

from citadel_k8s.stores.postgres.past import TRENDS
from tests.integration.api.fabric.world import CLOCK, World
from tests.unit.api.frame.serving import Running


async def add_event(world: World, number: int, **more: object) -> None:
    given = {"org": "acme", "node": f"n{number % 2}", "kind": "state"} | more
    at = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(microseconds=number // 2)
    await world.run(
        "INSERT INTO fabric_events (org_id, node_id, happened_at, kind, state, state_before,"
        " reason, message, dedup) VALUES (%s, %s, %s, %s, 'Offline', 'Online', 'AgentSilent', %s,"
        " %s)",
        given["org"], given["node"], at, given["kind"], f"event {number}", str(number),
    )  # fmt: skip


async def test_events_come_in_pages_the_newest_first(world: World, api: Running) -> None:
    for number in range(11):
        await add_event(world, number)
    await add_event(world, 5, org="other")

    found, cursor = [], ""
    while cursor is not None:
        query = "?limit=4" + (f"&cursor={cursor}" if cursor else "")
        status, body, headers = await api.ask(f"/api/fabric/events/list{query}", who="viewer")
        assert status == 200
        found += [event["message"] for event in body]
        cursor = headers.get("X-Next-Cursor")

    assert found == [f"event {number}" for number in reversed(range(11))]
    _, body, _ = await api.ask("/api/fabric/events/list?limit=1", who="viewer")
    assert body[0] == {
        "id": body[0]["id"], "time": "2026-11-23T00:00:00Z", "node": "n0", "kind": "state",
        "state": "Offline", "before": "Online", "reason": "AgentSilent", "message": "event 10",
        "count": 1,
    }  # fmt: skip


async def test_events_can_be_chosen(world: World, api: Running) -> None:
    for number in range(4):
        await add_event(world, number, kind=("state", "xid")[number // 2])

    async def count(query: str) -> int:
        _, body, _ = await api.ask(f"/api/fabric/events/list?{query}", who="viewer")
        return len(body)

    assert await count("node=n0") == 2
    assert await count("kind=xid,fault") == 2
    assert await count("reason=AgentSilent&node=n1&kind=xid") == 1
    assert await count("since=2026-11-23T00:00:00.000001Z") == 2
    assert await count("until=2026-11-23T00:00:00%2B00:00") == 0


async def test_events_that_cannot_be_asked_for_are_refused(api: Running) -> None:
    for query in (
        "kind=party", "since=yesterday", "since=2026-11-23T00:00:00", "limit=1001", "cursor=x",
        "node=a%20b", "until=99999-01-01T00:00:00Z",
    ):  # fmt: skip
        status, _, _ = await api.ask(f"/api/fabric/events/list?{query}", who="viewer")
        assert status == 400, query


async def test_history_shows_gaps_as_gaps(world: World, api: Running) -> None:
    await world.node("a", headscale_id="7")
    now = int(CLOCK.now()) // 300 * 300
    for ago, cpu in ((600, 0.5), (1200, 0.25)):
        await world.run(
            "INSERT INTO fabric_node_history (org_id, node_id, bucket, beats, cpu_sum, cpu_count)"
            " VALUES ('acme', 'a', to_timestamp(%s), 10, %s, 4)",
            now - ago, cpu * 4,
        )  # fmt: skip

    _, body, _ = await api.ask("/api/fabric/nodes/7/history?range=1h", who="viewer")

    assert body["bucketSeconds"] == 300
    assert body["cpu"] == [None] * 7 + [0.25, None, 0.5, None, None]
    assert body["beats"][-5:] == [10, None, 10, None, None]
    assert set(body["power"]) == {None}


async def test_longer_ranges_have_longer_buckets(world: World, api: Running) -> None:
    await world.node("a")
    now = int(CLOCK.now()) // 3600 * 3600
    for offset, count in ((0, 1), (300, 3)):
        await world.run(
            "INSERT INTO fabric_node_history (org_id, node_id, bucket, beats, cpu_sum, cpu_count,"
            " util_max) VALUES ('acme', 'a', to_timestamp(%s), 10, %s, %s, %s)",
            now - 7200 + offset, 0.4 * count if offset else 0.8, count, offset / 1000,
        )  # fmt: skip

    for length, points in (("24h", 288), ("7d", 336), ("14d", 336), ("30d", 360)):
        _, body, _ = await api.ask(f"/api/fabric/nodes/a/history?range={length}", who="viewer")
        assert len(body["cpu"]) == points
        if length == "14d":
            # Weighed by how much was heard, not a mean of means.
            assert [cpu for cpu in body["cpu"] if cpu is not None] == [0.5]
            assert [one for one in body["utilMax"] if one is not None] == [0.3]
    assert (await api.ask("/api/fabric/nodes/a/history?range=1y", who="viewer"))[0] == 400


async def test_administrators_see_who_did_what(world: World, api: Running) -> None:
    for number in range(3):
        await world.run(
            "INSERT INTO audit_log (org_id, subject, action, target, outcome) VALUES"
            " ('acme', 'user:2', 'node.config', %s, 'done'), ('other', 'user:4', 'x', '', 'done')",
            f"n{number}",
        )

    status, body, headers = await api.ask("/api/fabric/audit?limit=2", who="admin")
    assert (status, [entry["target"] for entry in body]) == (200, ["n2", "n1"])
    query = f"?limit=2&cursor={headers['X-Next-Cursor']}"
    _, body, headers = await api.ask(f"/api/fabric/audit{query}", who="admin")
    assert ([entry["target"] for entry in body], "X-Next-Cursor" in headers) == (["n0"], False)

    assert (await api.ask("/api/fabric/audit?cursor=zzz", who="admin"))[0] == 400
    assert (await api.ask("/api/fabric/audit", who="editor"))[0] == 403


async def add_bucket(
    world: World, node: str, ago: int, *, org: str = "acme", **sums: object
) -> None:
    at = datetime.fromtimestamp((int(CLOCK.now()) // 300 - ago) * 300, UTC)
    given = {"util": None, "vram": None, "count": 1} | sums
    await world.run(
        "INSERT INTO fabric_node_history (org_id, node_id, bucket, beats, util_sum, util_count,"
        " vram_sum, vram_count) VALUES (%s, %s, %s, 10, %s, %s, %s, %s)",
        org, node, at, given["util"], given["count"], given["vram"], given["count"],
    )  # fmt: skip


async def test_trends_are_the_last_half_hour_with_gaps_as_gaps(world: World, api: Running) -> None:
    await add_bucket(world, "n1", 0, util=1.0, vram=2.0, count=4)
    await add_bucket(world, "n1", 2, util=0.12345, vram=None)
    await add_bucket(world, "n1", 5, util=0.0, vram=0.5)
    await add_bucket(world, "n1", 6, util=9.0, vram=9.0)
    await add_bucket(world, "n1", -1, util=9.0, vram=9.0)
    await add_bucket(world, "n2", 1, util=None, vram=None, count=0)
    await add_bucket(world, "n3", 1, util=1.0, vram=1.0, org="other")
    await add_bucket(world, "n4", 1, util=1.0, vram=1.0)

    status, body, _ = await api.ask("/api/fabric/trends?nodes=n1,n2,n3,never", who="viewer")

    assert status == 200
    first = (int(CLOCK.now()) // 300 - 5) * 300
    assert body["bucketSeconds"] == 300
    assert datetime.fromisoformat(body["start"]).timestamp() in {first, first - 300}
    assert body["nodes"] == {
        "n1": {
            "util": [0.0, None, None, 0.123, None, 0.25],
            "vram": [0.5, None, None, None, None, 0.5],
        },
        "n2": {"util": [None] * 6, "vram": [None] * 6},
    }


async def test_trends_that_cannot_be_asked_for_are_refused(api: Running) -> None:
    many = ",".join(f"n{number}" for number in range(101))
    for query in ("", "?nodes=", "?nodes=,", f"?nodes={many}", "?nodes=a%20b", "?nodes=n1&x=1"):
        status, _, _ = await api.ask(f"/api/fabric/trends{query}", who="viewer")
        assert status == 400, query
    assert (await api.ask("/api/fabric/trends?nodes=n1", who="device"))[0] == 403
    hundred = ",".join(f"n{number}" for number in range(100))
    status, body, _ = await api.ask(f"/api/fabric/trends?nodes={hundred},n1", who="viewer")
    assert (status, body["nodes"]) == (200, {})


async def test_trends_of_a_hundred_nodes_are_found_by_the_index(world: World) -> None:
    await world.run(
        "INSERT INTO fabric_node_history (org_id, node_id, bucket, beats)"
        " SELECT 'acme', 'n' || n, date_bin('5 min', now(), 'epoch') - b * interval '5 min', 10"
        " FROM generate_series(1, 400) n, generate_series(0, 99) b"
    )
    await world.run("ANALYZE fabric_node_history")
    given = {"org": "acme", "nodes": [f"n{n}" for n in range(1, 101)]}
    given |= {"first": CLOCK.now() - 1800, "end": CLOCK.now() + 300}
    async with world.database.tenant("acme") as connection:
        cursor = await connection.execute("EXPLAIN (ANALYZE) " + TRENDS, given)
        plan = "\n".join(str(row) for row in await cursor.fetchall())
    assert "Seq Scan" not in plan
    assert "Index" in plan

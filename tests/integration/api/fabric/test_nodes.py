import asyncio
import json

from tests.integration.api.fabric.world import PULSE, World, message, serving
from tests.unit.api.frame.serving import Running


async def listed(api: Running, query: str = "", who: str = "viewer") -> list[dict]:
    status, body, _ = await api.ask(f"/api/fabric/nodes{query}", who=who)
    assert status == 200, body
    return body


def ids(nodes: list[dict]) -> list[str]:
    return [node["id"] for node in nodes]


async def test_a_list_is_a_bare_array_with_what_needs_attention_first(
    world: World, api: Running
) -> None:
    await world.node("well")
    await world.node("broken", verdict="Degraded")
    await world.node("gone", age=500)
    await world.node("late", age=60)
    await world.node("never", age=None, source="mesh", addresses=["100.64.0.9"], name="never-ever")

    nodes = await listed(api)

    assert [(n["id"], n["state"]) for n in nodes] == [
        ("gone", "Offline"), ("broken", "Degraded"), ("late", "Stale"), ("never", "Unknown"),
        ("well", "Online"),
    ]  # fmt: skip
    never = nodes[3]
    assert never["reason"] == "NeverReported"
    assert never["profile"] == {"name": "never-ever", "address": "100.64.0.9"}
    assert never["pulse"] == {}
    assert "age" not in never
    assert nodes[0]["age"] == 500.0
    assert nodes[4]["pulse"] == PULSE


async def test_a_node_of_eight_gpus_takes_400_bytes_packed_and_600_as_text(
    world: World, api: Running
) -> None:
    for number in range(20):
        await world.node(f"gpu-node-{number:04}")
    headers = {"Authorization": "Bearer viewer", "Accept-Encoding": "gzip"}

    body = json.dumps(await listed(api), separators=(",", ":"))
    async with api.client.get(
        api.url("/api/fabric/nodes"), headers=headers, auto_decompress=False
    ) as answer:
        packed = await answer.read()

    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) / 20 < 400
    assert len(body) / 20 < 600


async def test_other_orgs_see_nothing(world: World, api: Running) -> None:
    await world.node("secret", headscale_id="7")

    assert await listed(api, who="stranger") == []
    for path in ("", "/history", "/config", "/live"):
        told = await api.ask(f"/api/fabric/nodes/secret{path}", who="stranger")
        unknown = await api.ask(f"/api/fabric/nodes/nonesuch{path}", who="stranger")
        assert told[0] == unknown[0] == 404
        assert told[1] | {"request_id": ""} == unknown[1] | {"request_id": ""}
    assert (await api.ask("/api/fabric/nodes/7", who="stranger"))[0] == 404
    assert (await api.ask("/api/fabric/nodes/secret", "DELETE", who="stranger"))[0] == 404
    put = await api.ask("/api/fabric/nodes/secret/config", "PUT", who="stranger", json={})
    assert put[0] == 404
    for path in ("summary", "models", "events/list", "discover/nodes"):
        _, body, _ = await api.ask(f"/api/fabric/{path}", who="stranger")
        assert "secret" not in json.dumps(body)


FOUND = {
    "?state=offline": ["c"],
    "?state=Online,Degraded": ["b", "a", "d"],
    "?model=llama": ["a"],
    "?gpu=h100": ["c", "b", "a"],
    "?gpu=L4": ["d"],
    "?label=rack=r1": ["a"],
    "?label=rack": ["b", "a"],
    "?q=100.64.0.7": ["d"],
    "?q=h100%20state:degraded": ["b"],
    "?q=label:rack=r2": ["b"],
    "?q=version:%3C0.2": ["c", "b", "a"],
    "?q=nothing-like-it": [],
    "?sort=name": ["a", "b", "c", "d"],
    "?sort=-name": ["d", "c", "b", "a"],
    "?sort=gpus": ["d", "a", "b", "c"],
}


async def test_filters_and_orders(world: World, api: Running) -> None:
    h100 = {"gpus": [{"model": "NVIDIA H100", "count": 8}], "agent": "0.1.0", "models": []}
    await world.node("a", labels={"rack": "r1"}, profile={**h100, "name": "a", "models": ["Llama"]})
    await world.node("b", labels={"rack": "r2"}, profile={**h100, "name": "b"}, verdict="Degraded")
    await world.node("c", profile={**h100, "name": "c"}, age=900)
    small = {"name": "d", "gpus": [{"model": "NVIDIA L4", "count": 1}], "agent": "0.2.1"}
    await world.node("d", profile=small, addresses=["100.64.0.7"])

    assert {query: ids(await listed(api, query)) for query in FOUND} == FOUND


ABUSES = [
    "?state=Sleeping", "?sort=cpu", "?sort=--name", "?limit=0", "?limit=5001", "?limit=x",
    "?cursor=abc", "?cursor=" + "A" * 1000, "?nonsense=1", "?cursor=%F0%9F%92%A9",
    "?q=" + "a%20" * 17, "?q=" + "a" * 600, "?state=", "?q=%00",
]  # fmt: skip


async def test_what_cannot_be_asked_is_refused(api: Running) -> None:
    for query in ABUSES:
        status, body, _ = await api.ask(f"/api/fabric/nodes{query}", who="viewer")
        assert (status, body["error"]) == (400, "bad_request"), query


async def test_sql_in_filters_is_only_text(world: World, api: Running) -> None:
    await world.node("a")

    for name in ("q", "model", "gpu", "label"):
        assert await listed(api, f"?{name}=%27%3B%20DROP%20TABLE%20nodes%3B--") == []
    status, _, _ = await api.ask("/api/fabric/nodes/a'%20OR%20'1'='1", who="viewer")
    assert status == 404


async def test_pages_put_together_are_the_whole_list(world: World, api: Running) -> None:
    for number in range(23):
        verdict = ("Online", "Degraded")[number % 2]
        await world.node(f"n{number % 7}-{number}", verdict=verdict, age=5 if number % 3 else None)
    for sort in ("state", "name", "-name", "-since", "since", "gpus", "-vram"):
        whole = ids(await listed(api, f"?sort={sort}"))
        found, cursor, pages = [], "", 0
        while cursor is not None:
            query = f"?sort={sort}&limit=5" + (f"&cursor={cursor}" if cursor else "")
            status, body, headers = await api.ask(f"/api/fabric/nodes{query}", who="viewer")
            assert (status, headers["X-Total-Count"]) == (200, "23")
            found += ids(body)
            cursor, pages = headers.get("X-Next-Cursor"), pages + 1
            assert (cursor is not None) == ("Link" in headers)
        assert (found, pages) == (whole, 5), sort


async def test_a_link_leads_to_the_next_page(world: World, api: Running) -> None:
    for name in ("a b", "c"):
        await world.node(name.replace(" ", "_"), labels={"team": name})
    _, _, headers = await api.ask("/api/fabric/nodes?limit=1&sort=name&q=100.64", who="viewer")

    link = headers["Link"].partition(">")[0].removeprefix("<")
    status, body, _ = await api.ask(link, who="viewer")

    assert (status, ids(body)) == (200, ["c"])


async def test_a_cursor_is_of_one_question(world: World, api: Running) -> None:
    await world.node("a")
    await world.node("b")
    _, _, headers = await api.ask("/api/fabric/nodes?limit=1&sort=name", who="viewer")
    cursor = headers["X-Next-Cursor"]

    for query in (f"?sort=-name&cursor={cursor}", f"?sort=name&state=online&cursor={cursor}"):
        status, body, _ = await api.ask(f"/api/fabric/nodes{query}", who="viewer")
        assert (status, "cursor" in body["error_description"]) == (400, True)


async def test_who_has_the_list_gets_none(world: World, api: Running) -> None:
    await world.node("a")
    _, _, headers = await api.ask("/api/fabric/nodes", who="viewer")
    has = {"If-None-Match": headers["ETag"]}

    status, body, again = await api.ask("/api/fabric/nodes", who="viewer", headers=has)
    assert (status, body) == (304, None)
    assert "X-Citadel-As-Of" in again
    # An age alone makes no new version, another heartbeat does.
    await world.ingest(world.frontier_ms + 2000)
    assert (await api.ask("/api/fabric/nodes", who="viewer", headers=has))[0] == 304
    await world.run("UPDATE fabric_node_status SET pulse = '{\"cpu\": 0.9}'")
    assert (await api.ask("/api/fabric/nodes", who="viewer", headers=has))[0] == 200


async def test_a_dead_worker_makes_nobody_offline_and_is_told(world: World, api: Running) -> None:
    await world.node("a")
    await world.run("UPDATE fabric_ingest SET updated_at = now() - interval '10 minutes'")

    status, body, headers = await api.ask("/api/fabric/nodes", who="viewer")

    assert (status, body[0]["state"], body[0]["age"]) == (200, "Online", 5.0)
    assert 599 < float(headers["X-Citadel-Ingest-Lag"]) < 700


async def test_an_org_is_read_once_a_second_at_most(world: World) -> None:
    await world.node("a")
    async with serving(world, hold=1.0) as api:
        await listed(api)
        await world.run("UPDATE fabric_node_status SET verdict = 'Degraded', reason = 'X'")
        async with asyncio.TaskGroup() as group:
            found = [group.create_task(listed(api)) for _ in range(20)]
        assert {task.result()[0]["state"] for task in found} == {"Online"}
        await asyncio.sleep(1.0)
        assert (await listed(api))[0]["state"] == "Degraded"


async def test_a_node_comes_with_its_whole_last_status(world: World, api: Running) -> None:
    await world.node("a", headscale_id="758")
    _, body, _ = await api.ask("/api/fabric/nodes/a", who="viewer")
    assert (body["complete"], body["status"]["nodeId"]) == (False, "a")

    await world.last_status("a", message("a", seq=7))
    _, body, headers = await api.ask("/api/fabric/nodes/758", who="viewer")

    assert (body["complete"], body["status"]["seq"]) == (True, 7)
    assert body["node"]["id"] == "a"
    assert body["node"]["headscaleId"] == "758"
    has = {"If-None-Match": headers["ETag"]}
    assert (await api.ask("/api/fabric/nodes/a", who="viewer", headers=has))[0] == 304


async def test_a_node_comes_with_its_last_heartbeats_and_its_clocks_skew(
    world: World, api: Running
) -> None:
    await world.node("a")
    _, body, _ = await api.ask("/api/fabric/nodes/a", who="viewer")
    assert not {"beats", "skewSeconds"} & set(body)

    now = world.frontier_ms
    texts = [f"{now - 30_000} 8 -9000", f"{now} 9 2500", "nonsense", f"{now} 9 2500"]
    await world.redis.rpush("org:acme:node:a:arrivals", *texts)
    await world.redis.rpush("org:other:node:a:arrivals", f"{now} 99 0")
    _, body, _ = await api.ask("/api/fabric/nodes/a", who="viewer")
    # Its status is lost, and when it was heard is not.
    assert (body["complete"], body["beats"]) == (False, [[now - 30_000, 8], [now, 9]])
    assert body["skewSeconds"] == 2.5

    await world.redis.rpush("org:acme:node:a:arrivals", f"{now + 1}  ")
    _, body, _ = await api.ask("/api/fabric/nodes/a", who="viewer")
    assert body["beats"][-1] == [now + 1, None]


async def test_a_last_status_that_is_none_is_passed_over(world: World, api: Running) -> None:
    await world.node("a")
    for odd in (b"\xff", b"[1]", b"{", b"[" * 5000):
        await world.last_status("a", odd)
        _, body, _ = await api.ask("/api/fabric/nodes/a", who="viewer")
        assert (body["complete"], body["status"]["nodeId"]) == (False, "a")


async def test_a_node_that_was_given_up_is_listed_only_when_asked_for(
    world: World, api: Running
) -> None:
    await world.node("a")
    await world.node("b")

    assert (await api.ask("/api/fabric/nodes/a", "DELETE", who="viewer"))[0] == 403
    assert (await api.ask("/api/fabric/nodes/a", "DELETE", who="editor"))[0] == 204
    assert (await api.ask("/api/fabric/nodes/a", "DELETE", who="editor"))[0] == 204

    assert ids(await listed(api)) == ["b"]
    gone = await listed(api, "?state=decommissioned")
    assert (ids(gone), gone[0]["reason"]) == (["a"], "Decommissioned")
    assert (await api.ask("/api/fabric/summary", who="viewer"))[1]["nodes"] == 1


async def test_devices_may_list_and_not_look_closer(world: World, api: Running) -> None:
    await world.node("a")

    assert ids(await listed(api, who="device")) == ["a"]
    for path in ("", "/live", "/config", "/history"):
        assert (await api.ask(f"/api/fabric/nodes/a{path}", who="device"))[0] == 403


async def test_the_summary_counts_what_is_known(world: World, api: Running) -> None:
    await world.node("a", pulse={"power": 100.5, "gpu": [[0, 50, 0], [80, 50, 0]] * 4})
    await world.node("b", age=900)
    await world.node("c", age=None)

    _, body, _ = await api.ask("/api/fabric/summary", who="viewer")

    assert body["nodes"] == 3
    assert body["states"] == [
        {"state": "Offline", "count": 1}, {"state": "Unknown", "count": 1},
        {"state": "Online", "count": 1},
    ]  # fmt: skip
    assert (body["gpus"], body["gpusBusy"], body["gpusIdle"], body["gpusUnknown"]) == (16, 4, 4, 8)
    assert body["vramUsedBytes"] == 687194767360 // 2
    assert (body["power"], body["models"]) == (100.5, 1)
    assert {"asOf", "ingestLag", "time"} <= set(body)


async def test_models_are_those_that_run_on_nodes_that_speak(world: World, api: Running) -> None:
    def running(*models: str, **more: str) -> dict:
        service = {"name": "vllm", "type": "llm", "status": "running", "models": list(models)}
        return {"services": [service | more]}

    await world.node("a", status=message("a", status=running("m1", "m2", health="ok")))
    await world.node("b", status=message("b", status=running("m1", health="starting")))
    await world.node("c", status=message("c", status=running("m1", health="ok")), age=900)
    await world.node("d", status=message("d", status=running("m3", status="stopped")))
    bare = {"node": {"name": "e"}, **running("m1", engine="sglang")}
    await world.node("e", status=bare)

    _, body, _ = await api.ask("/api/fabric/models", who="viewer")

    assert body == [
        {"model": "m1", "nodes": ["a", "b", "e"], "replicas": 3, "engines": ["sglang", "vllm"],
         "healthy": 1},
        {"model": "m2", "nodes": ["a"], "replicas": 1, "engines": ["vllm"], "healthy": 1},
    ]  # fmt: skip
    _, body, _ = await api.ask("/api/fabric/models?q=M2", who="viewer")
    assert [one["model"] for one in body] == ["m2"]


async def test_peers_have_the_shape_of_the_contract(world: World, api: Running) -> None:
    tags = {"capabilities": {"tags": ["gpu:h100", "llm"]}}
    await world.node(
        "a", headscale_id="7", addresses=["100.64.0.1"], labels={"rack": "r1"},
        status=message("a", status=tags),
    )  # fmt: skip
    await world.node("b", age=900)

    _, body, _ = await api.ask("/api/fabric/discover/nodes", who="device")
    assert (body["total"], [peer["id"] for peer in body["nodes"]]) == (2, ["7", "b"])
    peer = body["nodes"][0]
    assert "status" not in peer
    assert (peer["hostname"], peer["givenName"], peer["online"]) == ("a", "a", True)
    assert (peer["ipAddresses"], peer["tags"]) == (["100.64.0.1"], ["rack=r1"])
    assert peer["capabilities"] == ["gpu:h100", "llm"]

    query = "?capability=gpu:h100&includeStatus=true&onlineOnly=true"
    _, body, _ = await api.ask(f"/api/fabric/discover/nodes{query}", who="device")
    assert body["total"] == 1
    status = body["nodes"][0]["status"]
    assert (status["cpuUsage"], status["gpuUsage"], status["isOnline"]) == (12.0, 71.0, True)


async def test_a_database_that_is_away_is_a_503(world: World, api: Running) -> None:
    await world.node("a")
    await world.run("ALTER TABLE nodes RENAME TO nodes_hidden")

    for path in ("nodes", "nodes/a", "summary", "models", "nodes/a/live"):
        status, body, _ = await api.ask(f"/api/fabric/{path}", who="viewer")
        assert (status, body["error"]) == (503, "unavailable"), path

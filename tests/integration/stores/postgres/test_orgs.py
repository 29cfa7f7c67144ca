"""Orgs and their clusters on a real server."""

from collections.abc import Awaitable, Callable

import pytest

from citadel_k8s.stores.postgres.clusters import Clusters
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.refused import RefusedError

KEYS = {"keys": [{"kty": "RSA", "kid": "1", "n": "abc", "e": "AQAB"}]}


async def node(database: Database, org_id: str, node_id: str, headscale: str | None = None):
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO nodes (org_id, node_id, headscale_id, source)"
            " VALUES (%s, %s, %s, 'report')",
            (org_id, node_id, headscale),
        )


async def reason(asked: Awaitable[object]) -> str:
    with pytest.raises(RefusedError) as refused:
        await asked
    return refused.value.reason


async def test_an_org_is_made_once_and_needs_an_id_and_a_quota_that_fit(
    database: Database,
) -> None:
    orgs = Orgs(database)
    assert await reason(orgs.create("acme", "again")) == "exists"
    for bad in ("", "a b", "a/b", "x" * 129, "a\0b", "\ud800", "ä"):
        assert await reason(orgs.create(bad, "Bad")) == "invalid"
        assert await orgs.get(bad) is None
    assert await reason(orgs.create("new", "New", daily_quota=0)) == "invalid"
    assert await reason(orgs.set_quota("acme", -1)) == "invalid"
    assert [org.org_id for org in await orgs.list()] == ["acme", "other"]
    assert [org.org_id for org in await orgs.list(after="acme")] == ["other"]


async def test_disabling_and_quotas_are_told(database: Database) -> None:
    orgs = Orgs(database)
    assert await orgs.disable("acme")
    assert await orgs.set_quota("acme", 100)
    org = await orgs.get("acme")
    assert org is not None
    assert org.disabled_at is not None
    assert org.daily_quota == 100
    assert await orgs.enable("acme")
    assert not await orgs.disable("nobody")
    assert await orgs.get("nobody") is None


async def test_the_org_of_a_node_is_looked_up_for_many_at_once(database: Database) -> None:
    orgs = Orgs(database)
    await node(database, "acme", "gpu-1", "7")
    await node(database, "other", "gpu-1", "8")
    await node(database, "other", "gpu-2", "9")
    assert await orgs.org_of_node([]) == {}
    assert await orgs.org_of_node(["gpu-1", "gpu-2", "gpu-3", "x\0y"]) == {
        "gpu-1": ["acme", "other"],
        "gpu-2": ["other"],
    }
    assert await orgs.org_of_headscale({"7", "9", "10"}) == {"7": ["acme"], "9": ["other"]}
    await orgs.disable("acme")
    assert await orgs.org_of_node(["gpu-1"]) == {"gpu-1": ["other"]}


async def test_a_decommissioned_node_has_no_org(database: Database) -> None:
    await node(database, "acme", "gpu-1", "7")
    async with database.transaction() as connection:
        await connection.execute("UPDATE nodes SET decommissioned_at = now()")
    assert await Orgs(database).org_of_node(["gpu-1"]) == {}
    assert await Orgs(database).org_of_headscale(["7"]) == {}


@pytest.fixture
def add(database: Database) -> Callable[..., Awaitable[object]]:
    async def adding(org_id: str, cluster_id: str, **changed):
        given = {
            "issuer": "https://kubernetes.default.svc",
            "audience": "citadel",
            "jwks": KEYS,
            "service_accounts": ["gpu/agent"],
        }
        return await Clusters(database).add(org_id, cluster_id, **(given | changed))

    return adding


async def test_a_cluster_is_found_by_issuer_and_audience(database: Database, add) -> None:
    clusters = Clusters(database)
    made = await add("acme", "west")
    assert await clusters.find("https://kubernetes.default.svc", "citadel") == made
    assert made.jwks == KEYS
    assert made.service_accounts == ("gpu/agent",)
    assert await clusters.find("https://kubernetes.default.svc", "else") is None
    assert await clusters.by_issuer("https://elsewhere") == ()
    await Orgs(database).disable("acme")
    assert await clusters.by_issuer("https://kubernetes.default.svc") == ()


async def test_an_issuer_for_an_audience_belongs_to_one_org(database: Database, add) -> None:
    await add("acme", "west")
    assert await reason(add("other", "east")) == "exists"
    assert await reason(add("acme", "west", audience="b")) == "exists"
    # What another org calls its clusters is nobody's business.
    await add("other", "west", audience="b")
    found = await Clusters(database).by_issuer("https://kubernetes.default.svc")
    assert [cluster.org_id for cluster in found] == ["other", "acme"]


async def test_what_is_no_cluster_is_refused(add) -> None:
    for bad in (
        {"jwks": {}},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{"n": "x" * 70_000}]}},
        {"jwks": {"keys": [{"n": "\0"}]}},
        {"issuer": ""},
        {"issuer": "x" * 3000},
        {"issuer": "\ud800"},
        {"audience": ""},
        {"service_accounts": []},
        {"service_accounts": ["agent"]},
        {"service_accounts": ["a/b/c"]},
        {"service_accounts": ["/agent"]},
    ):
        assert await reason(add("acme", "west", **bad)) == "invalid", bad
    assert await reason(add("acme", "no/id")) == "invalid"
    assert await reason(add("nobody", "west")) == "missing"


async def test_only_its_org_changes_or_removes_a_cluster(database: Database, add) -> None:
    clusters = Clusters(database)
    await add("acme", "west")
    new = {"keys": [{"kid": "2"}]}
    assert not await clusters.set_jwks("other", "west", new)
    assert not await clusters.remove("other", "west")
    assert await clusters.set_jwks("acme", "west", new)
    assert [cluster.jwks for cluster in await clusters.list("acme")] == [new]
    assert await clusters.list("other") == ()
    assert len(await clusters.list()) == 1
    assert await clusters.remove("acme", "west")
    assert await clusters.list() == ()

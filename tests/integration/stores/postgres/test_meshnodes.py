from dataclasses import replace
from typing import Any

from citadel_k8s.domain.mesh import Machine
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.meshnodes import LOCK, MeshNodes

BOX = Machine("758", "box", ("100.64.0.7",), "team", online=True, seen_at=1_795_420_800.0)


async def nodes(database: Database) -> dict[tuple[str, str], dict[str, Any]]:
    async with database.transaction() as connection:
        found = await connection.execute("SELECT * FROM nodes")
        return {(row["org_id"], row["node_id"]): row for row in await found.fetchall()}


async def report(database: Database, node_id: str, headscale_id: str | None) -> None:
    """Make the rows of a node that has spoken."""
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO nodes (org_id, node_id, headscale_id, source)"
            " VALUES ('acme', %s, %s, 'report')",
            (node_id, headscale_id),
        )
        await connection.execute(
            "INSERT INTO fabric_node_status (org_id, node_id, stream_epoch, stream_ms, stream_seq,"
            " verdict, state, state_since, pulse)"
            " VALUES ('acme', %s, 0, 1, 0, 'Online', 'Online', now(), '{}')",
            (node_id,),
        )


async def test_a_machine_that_never_spoke_is_stored_with_all_that_is_known(
    database: Database,
) -> None:
    await MeshNodes(database).store([("acme", BOX)])
    row = (await nodes(database))["acme", "box"]
    assert (row["source"], row["headscale_id"], row["addresses"]) == ("mesh", "758", ["100.64.0.7"])
    assert (row["owner"], row["mesh_online"], row["mesh_seen_at"].timestamp()) == (
        "team",
        True,
        1_795_420_800.0,
    )


async def test_machines_of_orgs_that_do_not_exist_are_left_out(database: Database) -> None:
    await MeshNodes(database).store([("nobody", BOX)])
    assert not await nodes(database)


async def test_a_machine_that_left_takes_its_bare_node_along(database: Database) -> None:
    mesh = MeshNodes(database)
    await mesh.store([("acme", BOX)])
    await mesh.store([])
    assert not await nodes(database)


async def test_a_machine_that_left_leaves_a_node_that_spoke_without_its_addresses(
    database: Database,
) -> None:
    await report(database, "gpu.local", "758")
    mesh = MeshNodes(database)
    await mesh.store([("acme", BOX)])
    assert (await nodes(database))["acme", "gpu.local"]["addresses"] == ["100.64.0.7"]
    await mesh.store([])
    row = (await nodes(database))["acme", "gpu.local"]
    assert (row["addresses"], row["headscale_id"], row["source"]) == ([], None, "report")


async def test_a_machine_that_moved_to_another_org_is_that_orgs(database: Database) -> None:
    mesh = MeshNodes(database)
    await mesh.store([("acme", BOX)])
    await mesh.store([("other", BOX)])
    assert list(await nodes(database)) == [("other", "box")]


async def test_one_worker_at_a_time_writes(database: Database, raw: Database) -> None:
    async with raw.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        assert await MeshNodes(database).store([("acme", BOX)]) is None
    assert await MeshNodes(database).store([("acme", BOX)]) is not None


async def test_what_has_not_changed_is_not_written(database: Database) -> None:
    mesh = MeshNodes(database)
    await mesh.store([("acme", BOX)])

    async def version() -> Any:
        async with database.transaction() as connection:
            (row,) = await (await connection.execute("SELECT xmin::text FROM nodes")).fetchall()
            return row["xmin"]

    before = await version()
    await mesh.store([("acme", BOX)])
    assert await version() == before
    await mesh.store([("acme", replace(BOX, online=False))])
    assert await version() != before

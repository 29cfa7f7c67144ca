"""From the stream into the tables: what a worker does with each kind of entry."""

from citadel_k8s.worker.connections import Connections
from citadel_k8s.worker.wiring import Worker
from tests.integration.worker.conftest import World, message


async def test_a_heartbeat_becomes_a_row_a_delta_and_a_last_status(world: World):
    connections = Connections.open(world.settings())
    worker = Worker(world.settings(), connections)
    await worker.looker.look()
    await world.send(message(bootId="b1", seq=1))
    entries = await connections.group.read(10, 1)
    await worker.reader.take(entries)
    (row,) = (await world.statuses()).values()
    assert (row["org_id"], row["state"], row["verdict"], row["boot_id"]) == (
        "acme", "Online", "Online", "b1",
    )  # fmt: skip
    await connections.close()

import asyncio

import pytest

from citadel_k8s.domain.mesh import Machine, MeshPlan
from citadel_k8s.errors import DatabaseError, MeshError
from citadel_k8s.worker.mesh import START_SECONDS, Mesh

pytestmark = pytest.mark.looptime

BOX = Machine("1", "box", ("100.64.0.1",), "team", online=True, seen_at=None)


class World:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.stored: list[list[tuple[str, Machine]]] = []

    async def machines(self) -> tuple[list[Machine], int]:
        if isinstance(self.error, MeshError):
            raise self.error
        return [BOX], 2

    async def store(self, seen: list[tuple[str, Machine]]) -> MeshPlan | None:
        if isinstance(self.error, DatabaseError):
            raise self.error
        self.stored.append(seen)
        return MeshPlan()


def mesh(world: World, **orgs: str) -> Mesh:
    return Mesh(world, world, orgs=orgs, default_org=None, interval=60)


async def test_machines_are_stored_for_their_owners_orgs() -> None:
    world = World()
    looking = mesh(world, team="acme")
    await looking.look()
    assert world.stored == [[("acme", BOX)]]
    assert (looking.machines, looking.unreadable, looking.without_org) == (1, 2, 0)


async def test_a_machine_without_an_org_is_counted_and_left_out() -> None:
    world = World()
    looking = mesh(world)
    await looking.look()
    assert world.stored == [[]]
    assert looking.without_org == 1


async def test_a_mesh_or_a_database_that_is_away_changes_nothing_and_is_asked_again() -> None:
    world = World()
    looking = mesh(world, team="acme")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(looking.run())
        world.error = MeshError("down")
        await asyncio.sleep(START_SECONDS + 61)
        world.error = DatabaseError("down")
        await asyncio.sleep(60)
        assert not world.stored
        assert looking.failures == 3
        world.error = None
        await asyncio.sleep(60)
        running.cancel()
    assert len(world.stored) == 1
    assert looking.machines == 1

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.config.server import Retention
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.leftovers import sweep
from citadel_k8s.worker.housekeeping import Housekeeping, rounds


async def fill(database: Database, age: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO device_auths (device_hash, user_code, client_id, expires_at)"
            " VALUES (%s, %s, 'c', now() - %s::interval)",
            (age.encode(), age, age),
        )
        await connection.execute(
            "INSERT INTO device_tokens (org_id, token_hash, name, scopes, created_by, revoked_at)"
            " VALUES ('acme', %s, 'n', '{}', 'me', now() - %s::interval)",
            (age.encode(), age),
        )
        await connection.execute(
            "INSERT INTO device_tokens (org_id, token_hash, name, scopes, created_by)"
            " VALUES ('acme', %s, 'n', '{}', 'me')",
            (b"for ever" + age.encode(),),
        )


async def count(database: Database, table: str) -> int:
    async with database.transaction() as connection:
        (row,) = await (await connection.execute(f"SELECT count(*) FROM {table}")).fetchall()  # type: ignore[arg-type]
        return int(row["count"])


async def test_what_has_long_been_over_goes_and_the_rest_stays(database: Database) -> None:
    await fill(database, "91 days")
    await fill(database, "89 days")
    assert await sweep(database) == 2
    assert await count(database, "device_auths") == 1
    assert await count(database, "device_tokens") == 3


async def test_a_round_makes_the_days_ahead(database: Database) -> None:
    house = Housekeeping(rounds(database, SystemClock(), Retention()))
    assert await house.once()
    async with database.transaction() as connection:
        found = await connection.execute("SELECT count(*) AS parts FROM pg_inherits")
        (row,) = await found.fetchall()
    assert row["parts"] >= 3 * 4


async def test_a_round_on_a_database_that_is_away_fails_and_tells() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    house = Housekeeping(rounds(nowhere, SystemClock(), Retention()))
    assert not await house.once()
    assert house.failures == 1
    await nowhere.close()

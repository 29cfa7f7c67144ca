from typing import Any

import pytest

from citadel_k8s.domain.buckets import BUCKET_MS, Sample, summed
from citadel_k8s.errors import DatabaseError
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.history import HistoryTable


async def rows(database: Database) -> list[dict[str, Any]]:
    async with database.transaction() as connection:
        found = await connection.execute("SELECT * FROM fabric_node_history ORDER BY bucket")
        return await found.fetchall()


async def test_sums_are_added_to_what_is_there(database: Database) -> None:
    table = HistoryTable(database)
    first = Sample("acme", "n1", 0, {"cpu": 0.25, "gpu": [[50, 10, 0]]})
    second = Sample("acme", "n1", 1, {"cpu": 0.75, "power": 300.0, "gpu": [[90, None, 0]]})
    await table.add(summed([first]))
    await table.add(summed([second]))
    (row,) = await rows(database)
    assert (row["beats"], row["cpu_sum"], row["cpu_count"]) == (2, 1.0, 2)
    assert (row["power_sum"], row["power_count"]) == (300.0, 1)
    assert (row["vram_sum"], row["vram_count"]) == (pytest.approx(0.1), 1)
    assert row["util_max"] == pytest.approx(0.9)
    assert (row["running_sum"], row["running_count"]) == (None, 0) or row["running_sum"] == 0


async def test_ten_thousand_buckets_are_added_at_once(database: Database) -> None:
    samples = [Sample("acme", f"n{number}", BUCKET_MS, {"cpu": 0.5}) for number in range(10_000)]
    await HistoryTable(database).add(summed(samples))
    assert len(await rows(database)) == 10_000


async def test_a_database_that_is_away_is_told() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseError):
        await HistoryTable(nowhere).add(summed([Sample("a", "b", 0, {})]))
    await nowhere.close()

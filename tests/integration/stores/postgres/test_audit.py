"""The audit log on a real server."""

from datetime import UTC, datetime, timedelta

import pytest

from citadel_k8s.stores.postgres.audit import Audit, AuditEntry
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.refused import RefusedError

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def entry(number: int, org_id: str | None = "acme", **kwargs) -> AuditEntry:
    # Ten of each moment, so that pages end in the middle of one.
    moment = BEGAN + timedelta(microseconds=number // 10)
    given = {"subject": "user:1", "action": f"a{number % 3}", "target": str(number)}
    return AuditEntry(org_id, **(given | kwargs), happened_at=moment)


async def test_pages_hold_every_entry_once_the_latest_first(database: Database) -> None:
    audit = Audit(database)
    await audit.append([entry(number) for number in range(95)])
    await audit.append([])
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = await audit.list("acme", cursor=cursor, limit=10)
        seen += [int(row.target) for row in page.rows]
        if page.cursor is None:
            break
        cursor = page.cursor
    assert seen == list(reversed(range(95)))


async def test_an_org_sees_its_own_and_the_platform_all(database: Database) -> None:
    audit = Audit(database)
    await audit.append([entry(1), entry(2, "other"), entry(3, None)])
    assert [row.target for row in (await audit.list("acme")).rows] == ["1"]
    assert [row.org_id for row in (await audit.list(None)).rows] == [None, "other", "acme"]


async def test_filters_narrow_it(database: Database) -> None:
    audit = Audit(database)
    await audit.append([entry(n, subject=f"user:{n % 2}") for n in range(12)])
    rows = (await audit.list("acme", subject="user:1", action="a0")).rows
    assert [row.target for row in rows] == ["9", "3"]
    assert (await audit.list("acme", subject="' OR '1'='1\0")).rows == ()


async def test_whatever_is_in_it_is_kept_as_far_as_it_can_be(database: Database) -> None:
    audit = Audit(database)
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"deep": deep}
    odd = {"nul": "a\0b\\u0000", "half": "\ud800", "nan": float("nan"), 7: {1, 2}, "deep": deep}
    await audit.append([AuditEntry("acme", "s" * 9000, "a\0", detail=odd, address="192.0.2.1")])
    ((row),) = (await audit.list("acme")).rows
    assert len(row.subject) == 400
    assert row.action == "a"
    assert row.detail["nul"] == "ab\\u0000"
    assert row.detail["half"] == "?"
    assert row.detail["nan"] is None
    assert row.detail["7"] == [1, 2]
    assert row.happened_at.tzinfo is not None


async def test_an_outcome_that_is_none_is_refused_with_all(database: Database) -> None:
    audit = Audit(database)
    with pytest.raises(RefusedError):
        await audit.append([entry(1), entry(2, outcome="perhaps")])
    assert (await audit.list(None)).rows == ()


@pytest.mark.parametrize(
    "cursor", ["x", "1", "-", "1-", "-1-1", "1-x", "²-1", f"{10**30}-1", "1-1; DROP TABLE orgs"]
)
async def test_a_cursor_that_was_never_given_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(RefusedError) as refused:
        await Audit(database).list("acme", cursor=cursor)
    assert refused.value.reason == "invalid"


async def test_cursors_of_any_number_do_no_harm(database: Database) -> None:
    audit = Audit(database)
    await audit.append([entry(1)])
    for cursor in (f"0-{10**40}", "0-0", f"{2**50}-{2**62}"):
        assert len((await audit.list("acme", cursor=cursor)).rows) <= 1
    assert len((await audit.list("acme", limit=-5)).rows) == 1
    assert len((await audit.list("acme", limit=10**9)).rows) == 1

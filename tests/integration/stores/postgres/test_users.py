"""People, their links and their sessions on a real server."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from citadel_k8s.models.identity import Role
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.logins import Logins
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.refused import RefusedError
from citadel_k8s.stores.postgres.secret import secret_hash
from citadel_k8s.stores.postgres.users import User, Users

DAY = timedelta(days=1)


async def execute(database: Database, query, *values: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(query, values)


async def ada(database: Database, org_id: str = "acme") -> User:
    return await Users(database).create(org_id, "Ada", role=Role.EDITOR, email="Ada@example.com")


async def session(database: Database, user: User) -> str:
    raw, _ = await Logins(database).open(user.org_id, user.user_id, method="oidc", life=DAY)
    return raw


async def test_a_person_is_found_by_address_in_any_case_and_by_subject(
    database: Database,
) -> None:
    users = Users(database)
    first, second = await ada(database), await ada(database, "other")
    assert await users.by_email("ada@EXAMPLE.com") == (first, second)
    assert await users.bind("acme", first.user_id, "https://idp#1")
    found = await users.by_subject("https://idp#1")
    assert found is not None
    assert found.user_id == first.user_id
    assert await users.by_subject("https://idp#2") is None
    assert await users.by_email("'; DROP TABLE users; --") == ()


async def test_an_address_is_one_persons_of_an_org_and_a_subject_one_of_all(
    database: Database,
) -> None:
    users = Users(database)
    await ada(database)
    with pytest.raises(RefusedError) as refused:
        await users.create("acme", "Eve", role=Role.VIEWER, email="ADA@example.com")
    assert refused.value.reason == "exists"
    await users.create("acme", "Bob", role=Role.VIEWER, subject="s")
    with pytest.raises(RefusedError):
        await users.create("other", "Bob", role=Role.VIEWER, subject="s")
    with pytest.raises(RefusedError) as missing:
        await users.create("nobody", "Bob", role=Role.VIEWER)
    assert missing.value.reason == "missing"


async def test_disabled_people_and_those_of_disabled_orgs_are_not_found(
    database: Database,
) -> None:
    users, orgs = Users(database), Orgs(database)
    user = await ada(database)
    raw = await session(database, user)
    logins = Logins(database)
    for off, on in (
        (users.disable("acme", user.user_id), users.enable("acme", user.user_id)),
        (orgs.disable("acme"), orgs.enable("acme")),
    ):
        assert await off
        assert await users.by_email("ada@example.com") == ()
        assert await logins.find(secret_hash(raw)) is None
        assert await on
        assert await logins.find(secret_hash(raw)) is not None
    assert not await users.disable("other", user.user_id)


async def test_a_role_counts_from_the_next_request(database: Database) -> None:
    user = await ada(database)
    raw = await session(database, user)
    assert await Users(database).set_role("acme", user.user_id, Role.ADMIN)
    found = await Logins(database).find(secret_hash(raw))
    assert found is not None
    assert found.role is Role.ADMIN
    assert (found.org_id, found.user_id, found.name) == ("acme", user.user_id, "Ada")


async def test_the_list_goes_on_behind_a_person(database: Database) -> None:
    users = Users(database)
    made = [(await users.create("acme", f"p{n}", role=Role.VIEWER)) for n in range(5)]
    first = await users.list("acme", limit=2)
    rest = await users.list("acme", after=first[-1].user_id)
    assert [*first, *rest] == made
    assert await users.list("other") == ()
    assert await users.get("other", made[0].user_id) is None
    assert await users.get("acme", made[0].user_id) == made[0]


async def test_of_many_that_redeem_a_link_at_once_one_comes_in(database: Database) -> None:
    user = await ada(database)
    logins = Logins(database)
    raw, _ = await logins.create_link("acme", user.user_id)
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(logins.redeem_link(raw)) for _ in range(10)]
    assert [task.result() for task in tries if task.result()] == [user]
    assert await logins.redeem_link(raw) is None
    assert await logins.redeem_link("cl_nonsense") is None


async def test_a_link_ends(database: Database, raw: Database) -> None:
    user = await ada(database)
    logins = Logins(database)
    secret, _ = await logins.create_link("acme", user.user_id)
    await execute(raw, "UPDATE login_links SET expires_at = now()")
    assert await logins.redeem_link(secret) is None


async def test_a_link_of_somebody_disabled_is_used_up_in_vain(database: Database) -> None:
    user = await ada(database)
    logins = Logins(database)
    secret, _ = await logins.create_link("acme", user.user_id)
    await Users(database).disable("acme", user.user_id)
    assert await logins.redeem_link(secret) is None


async def test_no_org_makes_links_or_sessions_for_people_of_another(database: Database) -> None:
    user = await ada(database)
    logins = Logins(database)
    for user_id in (user.user_id, uuid4()):
        with pytest.raises(RefusedError) as refused:
            await logins.create_link("other", user_id)
        assert refused.value.reason == "missing"
        with pytest.raises(RefusedError):
            await logins.open("other", user_id, method="link", life=DAY)


async def test_a_session_ends_at_its_time_whether_it_is_used_or_not(
    database: Database, raw: Database
) -> None:
    user = await ada(database)
    secret = await session(database, user)
    logins = Logins(database)
    assert await logins.find(secret_hash(secret)) is not None
    await logins.touch(secret_hash(secret))
    await execute(raw, "UPDATE sessions SET expires_at = now()")
    assert await logins.find(secret_hash(secret)) is None


async def test_a_session_is_noted_as_used_once_a_minute(database: Database, raw: Database) -> None:
    hashed = secret_hash(await session(database, await ada(database)))
    logins = Logins(database)
    first = await logins.find(hashed)
    await logins.touch(hashed)
    second = await logins.find(hashed)
    assert first is not None
    assert second is not None
    assert not first.idle
    assert first.seen_at == second.seen_at
    await execute(raw, "UPDATE sessions SET seen_at = seen_at - interval '61 seconds'")
    idle = await logins.find(hashed)
    assert idle is not None
    assert idle.idle
    await logins.touch(hashed)
    fresh = await logins.find(hashed)
    assert fresh is not None
    assert fresh.seen_at > first.seen_at


async def test_a_revoked_session_counts_no_more_and_revoking_all_ends_links_too(
    database: Database,
) -> None:
    user = await ada(database)
    logins = Logins(database)
    secrets = [await session(database, user) for _ in range(3)]
    link, _ = await logins.create_link("acme", user.user_id)
    assert len(await logins.list("acme", user.user_id)) == 3
    assert not await logins.revoke("other", secret_hash(secrets[0]))
    assert await logins.revoke("acme", secret_hash(secrets[0]))
    assert await logins.find(secret_hash(secrets[0])) is None
    assert await logins.revoke_all("acme", user.user_id) == 2
    assert await logins.find(secret_hash(secrets[1])) is None
    assert await logins.redeem_link(link) is None
    assert await logins.list("acme", user.user_id) == ()


async def test_sessions_and_links_long_over_are_deleted_when_new_ones_are_made(
    database: Database, raw: Database
) -> None:
    user = await ada(database)
    await session(database, user)
    await Logins(database).create_link("acme", user.user_id)
    for table in ("sessions", "login_links"):
        await execute(raw, f"UPDATE {table} SET expires_at = now() - interval '2 days'")
    await session(database, user)
    await Logins(database).create_link("acme", user.user_id)
    async with raw.transaction() as connection:
        for table in ("sessions", "login_links"):
            cursor = await connection.execute(f"SELECT count(*) AS n FROM {table}")
            assert await cursor.fetchone() == {"n": 1}


async def test_a_sweep_deletes_what_was_over_a_day_ago_and_nothing_else(
    database: Database, raw: Database
) -> None:
    user = await ada(database)
    logins = Logins(database)
    kept = [await session(database, user) for _ in range(3)]
    await logins.create_link("acme", user.user_id)
    link, _ = await logins.create_link("acme", user.user_id)
    await logins.revoke("acme", secret_hash(kept[0]))
    assert await logins.sweep() == 0
    await execute(raw, "UPDATE sessions SET revoked_at = revoked_at - interval '25 hours'")
    await execute(
        raw,
        "UPDATE sessions SET expires_at = now() - interval '25 hours' WHERE session_hash = %s",
        secret_hash(kept[1]),
    )
    await execute(
        raw,
        "UPDATE login_links SET expires_at = now() - interval '25 hours' WHERE token_hash <> %s",
        secret_hash(link),
    )
    assert await logins.sweep() == 3
    assert await logins.find(secret_hash(kept[2])) is not None
    assert await logins.redeem_link(link) == user

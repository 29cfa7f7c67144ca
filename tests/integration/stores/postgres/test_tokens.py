"""Device tokens on a real server."""

import asyncio
import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest

from citadel_k8s.models.identity import DEVICE_SCOPES, Scope
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.refused import RefusedError
from citadel_k8s.stores.postgres.secret import secret_hash
from citadel_k8s.stores.postgres.tokens import DeviceTokens, TokenRow


async def create(tokens: DeviceTokens, **kwargs) -> tuple[TokenRow, str]:
    return await tokens.create("acme", "gpu-1", created_by="cli", **kwargs)


async def execute(database: Database, query, *values: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(query, values)


async def test_a_token_is_256_bits_found_by_its_sha_256(database: Database) -> None:
    tokens = DeviceTokens(database)
    row, raw = await create(tokens, node_id="gpu-1")
    assert raw.startswith("act_")
    assert len(raw) == 4 + 43
    found = await tokens.find(hashlib.sha256(raw.encode()).digest())
    assert found == row
    assert found.scopes == DEVICE_SCOPES
    assert found.node_id == "gpu-1"
    assert await tokens.find(secret_hash(raw + "x")) is None


async def test_no_row_holds_the_token_or_tells_its_hash(database: Database) -> None:
    tokens = DeviceTokens(database)
    _, raw = await create(tokens)
    async with database.transaction() as connection:
        (row,) = await (await connection.execute("SELECT * FROM device_tokens")).fetchall()
    assert raw not in str(row)
    assert not any(
        isinstance(getattr(listed, name), bytes)
        for listed in await tokens.list("acme")
        for name in listed.__slots__
    )


@pytest.mark.parametrize(
    "kwargs",
    [
        {"scopes": ["device_redis:read", "everything"]},
        {"scopes": []},
        {"node_id": "no/node"},
        {"life": timedelta(0)},
        {"life": timedelta(seconds=-1)},
    ],
)
async def test_what_does_not_fit_is_refused(database: Database, kwargs) -> None:
    with pytest.raises(RefusedError) as refused:
        await create(DeviceTokens(database), **kwargs)
    assert refused.value.reason == "invalid"
    assert await DeviceTokens(database).list("acme") == ()


async def test_an_org_that_is_not_there_gets_no_token(database: Database) -> None:
    with pytest.raises(RefusedError) as refused:
        await DeviceTokens(database).create("nobody", "x", created_by="cli")
    assert refused.value.reason == "missing"


async def test_a_revoked_token_is_found_no_more(database: Database) -> None:
    tokens = DeviceTokens(database)
    row, raw = await create(tokens)
    assert not await tokens.revoke("other", row.token_id)
    assert await tokens.find(secret_hash(raw)) is not None
    assert await tokens.revoke("acme", row.token_id)
    assert not await tokens.revoke("acme", row.token_id)
    assert await tokens.find(secret_hash(raw)) is None


async def test_an_expired_token_is_found_no_more(database: Database, raw: Database) -> None:
    tokens = DeviceTokens(database)
    _, secret = await create(tokens, life=timedelta(hours=1))
    assert await tokens.find(secret_hash(secret)) is not None
    await execute(raw, "UPDATE device_tokens SET expires_at = now()")
    assert await tokens.find(secret_hash(secret)) is None


async def test_a_disabled_org_has_no_tokens_that_work_until_it_is_enabled(
    database: Database,
) -> None:
    tokens, orgs = DeviceTokens(database), Orgs(database)
    _, raw = await create(tokens)
    await orgs.disable("acme")
    assert await tokens.find(secret_hash(raw)) is None
    await orgs.enable("acme")
    assert await tokens.find(secret_hash(raw)) is not None


async def test_a_found_token_tells_its_orgs_quota(database: Database) -> None:
    tokens = DeviceTokens(database)
    _, raw = await create(tokens)
    await Orgs(database).set_quota("acme", 7)
    found = await tokens.find(secret_hash(raw))
    assert found is not None
    assert found.daily_quota == 7


async def test_rotation_gives_an_equal_token_and_ends_the_old_one_after_a_grace(
    database: Database, raw: Database
) -> None:
    tokens = DeviceTokens(database)
    old, old_raw = await create(tokens, scopes=[Scope.STATE_WRITE], node_id="gpu-1")
    new, new_raw = await tokens.rotate("acme", old.token_id, created_by="user:1")
    assert (new.scopes, new.node_id, new.expires_at) == (old.scopes, "gpu-1", None)
    assert new.created_by == "user:1"
    fading = await tokens.find(secret_hash(old_raw))
    assert fading is not None
    assert fading.expires_at is not None
    assert fading.replaced_by == new.token_id
    assert fading.expires_at - new.created_at == timedelta(hours=24)
    await execute(raw, "UPDATE device_tokens SET expires_at = expires_at - interval '24 hours'")
    assert await tokens.find(secret_hash(old_raw)) is None
    assert await tokens.find(secret_hash(new_raw)) is not None


async def test_the_grace_never_outlasts_the_old_tokens_own_end(database: Database) -> None:
    tokens = DeviceTokens(database)
    old, old_raw = await create(tokens, life=timedelta(hours=1))
    new, _ = await tokens.rotate("acme", old.token_id, created_by="cli")
    fading = await tokens.find(secret_hash(old_raw))
    assert fading is not None
    assert fading.expires_at == old.expires_at
    assert new.expires_at is not None
    assert new.expires_at - new.created_at == timedelta(hours=1)


async def test_of_two_rotations_at_once_one_is_refused(database: Database) -> None:
    tokens = DeviceTokens(database)
    old, _ = await create(tokens)

    async def rotate() -> str:
        try:
            await tokens.rotate("acme", old.token_id, created_by="cli")
        except RefusedError as refused:
            return refused.reason
        return "done"

    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(rotate()) for _ in range(8)]
    assert sorted(task.result() for task in tries) == ["done", *["exists"] * 7]
    assert len(await tokens.list("acme")) == 2


async def test_another_orgs_token_cannot_be_rotated(database: Database) -> None:
    tokens = DeviceTokens(database)
    old, _ = await create(tokens)
    for org_id, token_id in (("other", old.token_id), ("acme", uuid4())):
        with pytest.raises(RefusedError) as refused:
            await tokens.rotate(org_id, token_id, created_by="cli")
        assert refused.value.reason == "missing"


async def test_the_list_goes_on_behind_a_token(database: Database) -> None:
    tokens = DeviceTokens(database)
    made = [(await create(tokens))[0].token_id for _ in range(5)]
    first = await tokens.list("acme", limit=3)
    rest = await tokens.list("acme", after=first[-1].token_id, limit=3)
    assert [row.token_id for row in (*first, *rest)] == made
    assert await tokens.list("other") == ()


async def test_touching_writes_a_token_once_a_minute(database: Database, raw: Database) -> None:
    tokens = DeviceTokens(database)
    ids = [(await create(tokens))[0].token_id for _ in range(3)]
    await tokens.touch([*ids[:2], uuid4()])
    used = [row.used_at for row in await tokens.list("acme")]
    assert used[0] is not None
    assert used[2] is None
    await tokens.touch(ids[:2])
    assert [row.used_at for row in await tokens.list("acme")] == used
    await execute(raw, "UPDATE device_tokens SET used_at = used_at - interval '2 minutes'")
    await tokens.touch(ids[:1])
    again = [row.used_at for row in await tokens.list("acme")]
    assert again[0] is not None
    assert again[1] is not None
    assert again[0] > used[0] > again[1]


async def test_touching_passes_over_a_row_that_somebody_changes(
    database: Database, raw: Database
) -> None:
    tokens = DeviceTokens(database)
    ids = [(await create(tokens))[0].token_id for _ in range(2)]
    async with raw.transaction() as connection:
        await connection.execute(
            "UPDATE device_tokens SET name = 'x' WHERE token_id = %s", (ids[0],)
        )
        async with asyncio.timeout(5):
            await tokens.touch(ids)
    assert [row.used_at is None for row in await tokens.list("acme")] == [True, False]


async def test_a_scope_of_a_newer_program_gives_no_right_and_does_no_harm(
    database: Database, raw: Database
) -> None:
    tokens = DeviceTokens(database)
    _, secret = await create(tokens)
    await execute(raw, "UPDATE device_tokens SET scopes = '{device_redis:read,device_moon:walk}'")
    found = await tokens.find(secret_hash(secret))
    assert found is not None
    assert found.scopes == {Scope.REDIS_READ}

"""Enrolment on a real server: pace, approval, one token for one poll."""

import asyncio
import re

import pytest

from citadel_k8s.models.identity import Scope
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.deviceauths import DeviceAuths
from citadel_k8s.stores.postgres.orgs import Orgs
from citadel_k8s.stores.postgres.refused import RefusedError
from citadel_k8s.stores.postgres.secret import secret_hash
from citadel_k8s.stores.postgres.tokens import DeviceTokens


async def execute(database: Database, query, *values: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(query, values)


async def age(database: Database, seconds: int) -> None:
    """Let time pass for all enrolments."""
    await execute(
        database,
        "UPDATE device_auths SET polled_at = polled_at - make_interval(secs => %s),"
        " created_at = created_at - make_interval(secs => %s),"
        " expires_at = expires_at - make_interval(secs => %s)",
        *(seconds, seconds, seconds),
    )


async def approve(auths: DeviceAuths, code: str, node_id: str | None = "gpu-1"):
    return await auths.approve(code, org_id="acme", node_id=node_id, decided_by="user:1")


async def test_a_start_gives_codes_that_fit_the_contract(database: Database) -> None:
    started = await DeviceAuths(database).start(client_id="citadel-cli", hostname="gpu-1")
    assert re.fullmatch(r"[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}", started.user_code)
    assert len(started.device_code) == 43
    assert (started.expires_in, started.interval) == (600, 5)


async def test_what_is_approved_is_shown_however_the_code_was_typed(database: Database) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(
        client_id="citadel-cli", hostname="gpu\0-1", machine_id="m" * 5000, address="192.0.2.1"
    )
    typed = started.user_code.lower().replace("-", " ")
    shown = await auths.pending(typed)
    assert shown is not None
    assert (shown.hostname, shown.address, shown.state) == ("gpu-1", "192.0.2.1", "pending")
    assert len(shown.machine_id or "") == 200
    for nonsense in ("", "AEIO-UAEI", "BCDF", "B" * 10_000, "' OR 1=1 --", "BCDF\0GHJK1"):
        assert await auths.pending(nonsense) is None


async def test_polls_at_the_pace_are_pending_and_faster_ones_slow_it_down(
    database: Database, raw: Database
) -> None:
    auths = DeviceAuths(database)
    code = (await auths.start(client_id="c")).device_code
    first = await auths.poll(code)
    assert (first.outcome, first.interval) == ("pending", 5)
    await age(raw, 5)
    assert (await auths.poll(code)).outcome == "pending"
    fast = await auths.poll(code)
    assert (fast.outcome, fast.interval) == ("slow_down", 10)
    await age(raw, 5)
    faster = await auths.poll(code)
    assert (faster.outcome, faster.interval) == ("slow_down", 15)
    await age(raw, 15)
    kept = await auths.poll(code)
    assert (kept.outcome, kept.interval) == ("pending", 15)


async def test_the_pace_has_an_end(database: Database) -> None:
    auths = DeviceAuths(database)
    code = (await auths.start(client_id="c")).device_code
    for _ in range(20):
        poll = await auths.poll(code)
    assert poll.interval == 60


async def test_an_approved_enrolment_gives_a_token_bound_to_org_and_node(
    database: Database,
) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c", hostname="gpu-1")
    assert await auths.consume(started.device_code) is None
    approved = await approve(auths, started.user_code)
    assert approved is not None
    assert (approved.org_id, approved.node_id, approved.decided_by) == ("acme", "gpu-1", "user:1")
    assert (await auths.poll(started.device_code)).outcome == "approved"
    consumed = await auths.consume(started.device_code)
    assert consumed is not None
    auth, token, raw = consumed
    assert (auth.state, auth.org_id) == ("consumed", "acme")
    assert (token.org_id, token.node_id, token.created_by) == ("acme", "gpu-1", "user:1")
    assert await DeviceTokens(database).find(secret_hash(raw)) == token
    assert (await auths.poll(started.device_code)).outcome == "expired"


async def test_of_many_polls_at_once_exactly_one_gets_the_token(database: Database) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c")
    await approve(auths, started.user_code)
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(auths.consume(started.device_code)) for _ in range(20)]
    assert sum(task.result() is not None for task in tries) == 1
    assert len(await DeviceTokens(database).list("acme")) == 1


async def test_a_token_that_cannot_be_made_leaves_the_enrolment_as_it_was(
    database: Database,
) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c")
    await approve(auths, started.user_code)
    with pytest.raises(RefusedError):
        await auths.consume(started.device_code, scopes=["everything"])
    assert await auths.consume(started.device_code, scopes=[Scope.REDIS_READ]) is not None


async def test_a_denied_enrolment_says_so_and_gives_no_token(database: Database) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c")
    assert await auths.deny(started.user_code, org_id="acme", decided_by="user:1") is not None
    assert (await auths.poll(started.device_code)).outcome == "denied"
    assert await auths.consume(started.device_code) is None
    assert await approve(auths, started.user_code) is None


async def test_of_an_approval_and_a_denial_the_first_counts(database: Database) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c")
    async with asyncio.TaskGroup() as group:
        yes = group.create_task(approve(auths, started.user_code))
        no = group.create_task(auths.deny(started.user_code, org_id="other", decided_by="u"))
    assert (yes.result() is None) != (no.result() is None)


async def test_an_expired_enrolment_is_over(database: Database, raw: Database) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c")
    late = await auths.start(client_id="c")
    await approve(auths, late.user_code)
    await age(raw, 600)
    assert (await auths.poll(started.device_code)).outcome == "expired"
    assert await auths.pending(started.user_code) is None
    assert await approve(auths, started.user_code) is None
    assert await auths.consume(late.device_code) is None
    assert await auths.sweep() == 2
    assert (await auths.poll(started.device_code)).outcome == "expired"


async def test_unknown_codes_are_expired(database: Database) -> None:
    auths = DeviceAuths(database)
    for code in ("", "nonsense", "\0", "\ud800"):
        assert (await auths.poll(code)).outcome == "expired"
        assert await auths.consume(code) is None


async def test_an_org_that_is_disabled_before_the_poll_gets_no_token(database: Database) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c")
    await approve(auths, started.user_code)
    await Orgs(database).disable("acme")
    assert await auths.consume(started.device_code) is None


async def test_nobody_approves_for_an_org_that_is_not_there(database: Database) -> None:
    auths = DeviceAuths(database)
    started = await auths.start(client_id="c")
    with pytest.raises(RefusedError) as refused:
        await auths.approve(started.user_code, org_id="no", node_id=None, decided_by="u")
    assert refused.value.reason == "missing"
    assert await approve(auths, started.user_code) is not None


async def test_only_so_many_wait_of_one_address_and_in_all(
    database: Database, raw: Database
) -> None:
    auths = DeviceAuths(database, pending_max=5, pending_per_address=3)

    async def start(address: str | None) -> str:
        try:
            return (await auths.start(client_id="c", address=address)).user_code
        except RefusedError as refused:
            return "" if refused.reason == "too_many" else f"not {refused.reason}"

    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(start("192.0.2.1")) for _ in range(9)]
    assert sum(bool(task.result()) for task in tries) == 3
    assert await start("192.0.2.2")
    code = await start(None)
    assert code
    assert not await start("192.0.2.3")
    await auths.deny(code, org_id="acme", decided_by="u")
    assert await start("192.0.2.3")
    assert not await start("192.0.2.3")
    await age(raw, 600)
    assert await start("192.0.2.1")

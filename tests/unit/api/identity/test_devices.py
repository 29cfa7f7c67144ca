"""Device tokens at the door: what is remembered, for how long, and what happens meanwhile."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.api.frame.refusal import RefusalError
from citadel_k8s.api.identity import devices as devices_module
from citadel_k8s.api.identity.bearer import Bearer
from citadel_k8s.api.identity.devices import (
    AGAIN_SECONDS,
    KNOWN_SECONDS,
    LAST_SECONDS,
    UNKNOWN_SECONDS,
    Devices,
)
from citadel_k8s.errors import DatabaseError
from citadel_k8s.models.identity import DEVICE_SCOPES, Principal
from citadel_k8s.stores.postgres.tokens import TokenRow

GOOD = Bearer("device", "act_good", b"good")
BAD = Bearer("device", "act_bad", b"bad")


def row(**changes: object) -> TokenRow:
    plain = {
        "token_id": uuid4(),
        "org_id": "acme",
        "name": "n",
        "scopes": DEVICE_SCOPES,
        "node_id": "gpu-1",
        "created_at": datetime.fromtimestamp(0, UTC),
        "created_by": "t",
        "expires_at": None,
        "used_at": None,
        "revoked_at": None,
        "replaced_by": None,
    }
    return TokenRow(**(plain | changes))


@dataclass
class FakeTokens:
    rows: dict[bytes, TokenRow] = field(default_factory=lambda: {b"good": row()})
    looks: int = 0
    away: bool = False
    touched: list[set[UUID]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def find(self, token_hash: bytes) -> TokenRow | None:
        self.looks += 1
        if self.away:
            raise DatabaseError("away")
        found = self.rows.get(token_hash)
        if self.hold is not None:
            await self.hold.wait()
        return found

    async def touch(self, token_ids: Collection[UUID]) -> None:
        if self.away:
            raise DatabaseError("away")
        self.touched.append(set(token_ids))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


async def refused(devices: Devices, credential: Bearer) -> None:
    with pytest.raises(RefusalError) as raised:
        await devices.find(credential)
    assert raised.value.status == 401
    assert credential.token not in raised.value.description


async def test_a_token_is_looked_up_once_in_half_a_minute(tokens: FakeTokens, clock: ManualClock):
    devices = Devices(tokens, clock)
    found = await devices.find(GOOD)
    assert found == Principal(
        "device", "acme", f"token:{tokens.rows[b'good'].token_id}", DEVICE_SCOPES, None, "gpu-1"
    )
    clock.advance(KNOWN_SECONDS - 1)
    await devices.find(GOOD)
    assert tokens.looks == 1
    clock.advance(1)
    await devices.find(GOOD)
    assert tokens.looks == 2


async def test_a_bad_token_is_looked_up_once_in_five_seconds(
    tokens: FakeTokens, clock: ManualClock
):
    devices = Devices(tokens, clock)
    for _ in range(3):
        await refused(devices, BAD)
    assert tokens.looks == 1
    clock.advance(UNKNOWN_SECONDS)
    tokens.rows[b"bad"] = row()
    assert await devices.find(BAD)


async def test_guesses_do_not_push_out_good_tokens(tokens: FakeTokens, clock: ManualClock):
    devices = Devices(tokens, clock)
    await devices.find(GOOD)
    for number in range(11_000):
        await refused(devices, Bearer("device", "act_x", b"%d" % number))
    looks = tokens.looks
    await devices.find(GOOD)
    assert tokens.looks == looks
    assert len(devices._unknown) == 10_000


async def test_an_end_counts_while_it_is_remembered(tokens: FakeTokens, clock: ManualClock):
    end = datetime.fromtimestamp(clock.now() + 10, UTC)
    tokens.rows[b"good"] = row(expires_at=end)
    devices = Devices(tokens, clock)
    assert await devices.find(GOOD)
    clock.advance(10)
    await refused(devices, GOOD)


async def test_what_was_read_before_a_revocation_is_not_kept_after_it(
    tokens: FakeTokens, clock: ManualClock
):
    devices = Devices(tokens, clock)
    tokens.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        early = group.create_task(devices.find(GOOD))
        await asyncio.sleep(0)
        tokens.rows.clear()
        devices.forget()
        tokens.hold.set()
    assert early.result().org_id == "acme"
    await refused(devices, GOOD)


async def test_without_word_of_revocations_a_lost_database_is_told(
    tokens: FakeTokens, clock: ManualClock
):
    devices = Devices(tokens, clock)
    await devices.find(GOOD)
    tokens.away = True
    assert await devices.find(GOOD)
    clock.advance(KNOWN_SECONDS)
    with pytest.raises(DatabaseError):
        await devices.find(GOOD)


async def test_with_word_of_revocations_nodes_report_through_a_failover(
    tokens: FakeTokens, clock: ManualClock
):
    devices = Devices(tokens, clock, told=lambda: True)
    await devices.find(GOOD)
    tokens.away = True
    clock.advance(LAST_SECONDS - 1)
    assert await devices.find(GOOD)
    with pytest.raises(DatabaseError):
        await devices.find(BAD)
    clock.advance(1)
    with pytest.raises(DatabaseError):
        await devices.find(GOOD)


async def test_a_database_that_hangs_is_waited_for_by_one_in_a_while(
    tokens: FakeTokens, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(devices_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(devices_module, "FIRST_LOOK_SECONDS", 0.01)
    devices = Devices(tokens, clock, told=lambda: True)
    await devices.find(GOOD)
    tokens.hold = asyncio.Event()
    clock.advance(KNOWN_SECONDS)
    for _ in range(5):
        assert await devices.find(GOOD)
    assert tokens.looks == 2
    with pytest.raises(DatabaseError, match="within"):
        await devices.find(BAD)
    clock.advance(AGAIN_SECONDS)
    assert await devices.find(GOOD)
    assert tokens.looks == 4
    tokens.hold.set()
    clock.advance(AGAIN_SECONDS)
    tokens.rows.clear()
    await refused(devices, GOOD)


async def test_what_is_revoked_while_the_database_hangs_is_not_believed(
    tokens: FakeTokens, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(devices_module, "LOOK_SECONDS", 0.05)
    devices = Devices(tokens, clock, told=lambda: True)
    await devices.find(GOOD)
    tokens.hold = asyncio.Event()
    clock.advance(KNOWN_SECONDS)
    asyncio.get_running_loop().call_soon(devices.forget)
    with pytest.raises(DatabaseError):
        await devices.find(GOOD)


async def test_a_revocation_during_a_failover_ends_it(tokens: FakeTokens, clock: ManualClock):
    devices = Devices(tokens, clock, told=lambda: True)
    await devices.find(GOOD)
    tokens.away = True
    devices.forget()
    with pytest.raises(DatabaseError):
        await devices.find(GOOD)


async def test_uses_are_noted_together_and_a_lost_note_is_no_error(
    tokens: FakeTokens, clock: ManualClock
):
    tokens.rows[b"bad"] = row()
    devices = Devices(tokens, clock)
    await devices.find(GOOD)
    await devices.find(GOOD)
    await devices.find(BAD)
    await devices.note()
    assert tokens.touched == [{row.token_id for row in tokens.rows.values()}]
    await devices.note()
    assert len(tokens.touched) == 1
    await devices.find(GOOD)
    tokens.away = True
    await devices.note()

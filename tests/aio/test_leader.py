"""Elections in virtual time: never two who write, and soon one."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from citadel_k8s.config.operator import Election
from citadel_k8s.errors import KubeError
from citadel_k8s.operator.leader import Leadership
from citadel_k8s.operator.metrics import OperatorMetrics
from tests.aio.leases import LeaseServer, Wire

pytestmark = pytest.mark.looptime

ON = Election(enabled=True, identity="op")
LONGEST = 15 + 3 + 2 + 1
"""Seconds after which another leads when a leader vanished: the lease, what is left to its
holder, a look, and some slack."""


class LoopClock:
    """The loop's time, and a date of its own that people set."""

    def __init__(self) -> None:
        self.wrong = 0.0

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return 1_795_420_800 + self.wrong + asyncio.get_running_loop().time()


class Candidate:
    def __init__(
        self, server: LeaseServer, witness: Callable[[], None], settings: Election = ON
    ) -> None:
        self._witness = witness
        self.wire = Wire(server)
        self.clock = LoopClock()
        self.metrics = OperatorMetrics()
        self.news: list[tuple[str, float]] = []
        self.leadership = Leadership(
            self.wire,
            settings,
            self.clock,
            self.metrics,
            on_lead=lambda: self._note("lead"),
            on_depose=lambda: self._note("depose"),
            jitter=lambda: 0.5,
        )
        self.task: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        return self.leadership.leads()

    def _note(self, what: str) -> None:
        self.news.append((what, self.clock.monotonic()))
        self._witness()

    async def die(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait([self.task])

    def metric(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name)


class Field:
    """Candidates on one server, and a witness that no two of them lead at once."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.server = LeaseServer()
        self.candidates: list[Candidate] = []
        self._group = group

    def add(self, settings: Election = ON) -> Candidate:
        candidate = Candidate(self.server, self._witness, settings)
        candidate.task = self._group.create_task(candidate.leadership.run())
        self.candidates.append(candidate)
        return candidate

    def _witness(self) -> None:
        """Look whenever one begins: two who lead would have begun one after the other."""
        assert sum(candidate.leads for candidate in self.candidates) <= 1


@asynccontextmanager
async def election() -> AsyncIterator[Field]:
    async with asyncio.TaskGroup() as group:
        field = Field(group)
        yield field
        for candidate in field.candidates:
            if candidate.task is not None:
                candidate.task.cancel()


async def until(condition: Callable[[], bool], seconds: float = 60) -> float:
    """Give the seconds until something is so."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began < seconds, "never"
        await asyncio.sleep(0.05)
    return loop.time() - began


async def two(field: Field) -> tuple[Candidate, Candidate]:
    """Give a leader and one who waits."""
    first = field.add()
    await until(lambda: first.leads)
    second = field.add()
    await asyncio.sleep(5)
    return first, second


async def test_one_of_several_leads():
    async with election() as field:
        for _ in range(3):
            field.add()
        await until(lambda: any(c.leads for c in field.candidates), LONGEST)
        await asyncio.sleep(120)
        assert [len(c.news) for c in field.candidates].count(1) == 1
        assert field.server.lease["spec"]["leaseTransitions"] == 1


async def test_the_leader_renews_with_one_request_in_two_seconds():
    async with election() as field:
        first, _ = await two(field)
        before = len(first.wire.asked)
        await asyncio.sleep(60)
        assert set(first.wire.asked[before:]) == {"replace"}
        assert 27 <= len(first.wire.asked) - before <= 31


async def test_another_takes_over_when_the_leader_died_without_a_word():
    async with election() as field:
        first, second = await two(field)
        first.leadership.leads = lambda: False  # nobody is there who could
        await first.die()
        assert 10 < await until(lambda: second.leads) < LONGEST


async def test_a_leader_that_ends_well_hands_over_within_one_look():
    async with election() as field:
        first, second = await two(field)
        await first.die()
        await first.leadership.release()
        assert not first.leads
        assert field.server.holder() is None
        assert await until(lambda: second.leads) < 2.5
        assert first.news[-1][0] == "depose"


async def test_a_renewal_cut_short_does_not_keep_the_lease_from_being_given_back():
    async with election() as field:
        first, second = await two(field)
        before = len(first.wire.asked)
        await until(lambda: len(first.wire.asked) > before)
        first.wire.deaf = True  # the renewal arrives, its answer does not
        await asyncio.sleep(0.05)
        await first.die()
        first.wire.deaf = False
        await first.leadership.release()
        assert await until(lambda: second.leads) < 2.5


async def test_giving_back_takes_no_longer_than_two_seconds():
    async with election() as field:
        first, _ = await two(field)
        await first.die()
        first.wire.cut = True
        began = first.clock.monotonic()
        await first.leadership.release()
        assert first.clock.monotonic() - began <= 2.1
        assert not first.leads


@pytest.mark.parametrize("how", ["down", "cut", "deaf"])
async def test_nine_seconds_without_the_server_change_nothing(how):
    async with election() as field:
        first, second = await two(field)
        for offset in (0.0, 0.7, 1.4, 1.99):
            await asyncio.sleep(offset)
            for candidate in (first, second):
                setattr(candidate.wire, how, True)
            await asyncio.sleep(9)
            for candidate in (first, second):
                setattr(candidate.wire, how, False)
            assert first.leads
            await asyncio.sleep(10)
            assert first.leads
        assert [news for news, _ in first.news] == ["lead"]


@pytest.mark.parametrize("how", ["down", "cut", "deaf"])
async def test_without_the_server_for_longer_the_leader_stops_and_takes_up_again(how):
    async with election() as field:
        first, second = await two(field)
        for candidate in (first, second):
            setattr(candidate.wire, how, True)
        began = first.clock.monotonic()
        await asyncio.sleep(20)
        assert not first.leads
        stopped = next(at for news, at in first.news if news == "depose")
        assert 10 < stopped - began < 13.1
        for candidate in (first, second):
            setattr(candidate.wire, how, False)
        await until(lambda: first.leads or second.leads, LONGEST)
        assert not first.task.done()


async def test_a_leader_cut_off_alone_has_stopped_before_the_other_begins():
    async with election() as field:
        first, second = await two(field)
        first.wire.cut = True
        await until(lambda: second.leads, LONGEST)
        stopped = next(at for news, at in first.news if news == "depose")
        assert stopped + 1.9 <= second.clock.monotonic()
        first.wire.cut = False
        await asyncio.sleep(60)
        assert second.leads
        assert not first.leads


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_date_set_by_an_hour_changes_nothing(hours):
    async with election() as field:
        first, second = await two(field)
        first.clock.wrong = hours * 3600
        await asyncio.sleep(30)
        second.clock.wrong = -hours * 3600
        await asyncio.sleep(30)
        assert first.leads
        assert [news for news, _ in first.news] == ["lead"]


async def test_a_date_that_stands_still_is_renewed_all_the_same():
    async with election() as field:
        first, second = await two(field)
        first.clock.now = lambda: 1_795_420_800.0
        await asyncio.sleep(60)
        assert first.leads
        assert not second.leads


async def test_a_lease_that_others_annotate_is_renewed_all_the_same():
    async with election() as field:
        first, _ = await two(field)
        for _ in range(8):
            field.server.annotate()
            await asyncio.sleep(1.3)
        assert first.leads
        assert field.server.lease["metadata"]["annotations"]


@pytest.mark.parametrize(
    "spec",
    [
        {"holderIdentity": None},
        {"holderIdentity": None, "renewTime": None, "leaseDurationSeconds": None},
        {"leaseDurationSeconds": 3600, "renewTime": "2126-01-01T00:00:00.000000Z"},
        {"leaseDurationSeconds": -1, "renewTime": "noon", "leaseTransitions": "many"},
    ],
)
async def test_a_lease_edited_by_hand_stays_with_its_leader(spec):
    async with election() as field:
        first, _ = await two(field)
        field.server.edit(**spec)
        await asyncio.sleep(30)
        assert first.leads
        assert field.server.lease["spec"]["leaseDurationSeconds"] == 15


async def test_a_lease_without_a_spec_stays_with_its_leader():
    async with election() as field:
        first, _ = await two(field)
        field.server.edit()
        del field.server.lease["spec"]
        await asyncio.sleep(30)
        assert first.leads


async def test_a_deleted_lease_is_made_again_by_its_leader():
    async with election() as field:
        first, _ = await two(field)
        field.server.delete()
        field.add()
        await asyncio.sleep(3)
        assert field.server.holder() == first.leadership.identity
        await asyncio.sleep(30)
        assert first.leads
        assert [news for news, _ in first.news] == ["lead"]


async def test_a_lease_given_to_a_stranger_by_hand_is_left_until_it_stood_still():
    async with election() as field:
        first, second = await two(field)
        field.server.edit(holderIdentity="somebody")
        await until(lambda: not first.leads, 3)
        assert 12 < await until(lambda: first.leads or second.leads) < LONGEST


async def test_two_operators_of_one_name_are_two():
    async with election() as field:
        first, second = await two(field)
        assert first.leadership.identity != second.leadership.identity
        assert first.leadership.identity.startswith("op_")
        assert second.leadership.holder == first.leadership.identity


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (KubeError(403, "forbidden"), "rbac.yaml"),
        (KubeError(404, "namespaces not found"), "namespace"),
        (KubeError(500, "broken"), "broken"),
        (KubeError(429, "slower", retry_after=1), "slower"),
    ],
)
async def test_a_server_that_refuses_is_told_and_asked_again(error, hint):
    async with election() as field:
        first = field.add()
        first.wire.fault = error
        await asyncio.sleep(30)
        assert hint in first.leadership.trouble
        assert len(first.wire.asked) < 80
        first.wire.fault = None
        await until(lambda: first.leads)
        assert first.leadership.trouble is None


async def test_without_election_one_leads_always_and_asks_nobody():
    async with election() as field:
        only = field.add(Election(enabled=False))
        await asyncio.sleep(1000)
        assert only.leads
        assert only.leadership.remaining() == float("inf")
        assert only.leadership.holder == only.leadership.identity
        await only.die()
        await only.leadership.release()
        assert only.wire.asked == []
        assert [news for news, _ in only.news] == ["lead"]


async def test_the_figures_tell_who_leads_and_how_old_the_renewal_is():
    async with election() as field:
        first, second = await two(field)
        assert first.metric("citadel_operator_leader") == 1
        assert second.metric("citadel_operator_leader") == 0
        first.wire.down = True
        await asyncio.sleep(9)
        assert first.metric("citadel_operator_lease_renewal_age_seconds") > 8
        failures = "citadel_operator_lease_failures_total"
        assert first.metrics.registry.get_sample_value(failures, {"status": "0"}) > 3
        first.wire.down = False


def befall(field: Field, chance: random.Random) -> None:
    """Let one thing happen to one operator, to the Lease, or to nobody."""
    candidate = chance.choice(field.candidates)
    wire, server = candidate.wire, field.server
    odd = {
        "holderIdentity": chance.choice([None, "stranger"]),
        "leaseDurationSeconds": chance.choice([None, 15, 9999]),
    }
    happenings: list[Callable[[], object]] = [
        lambda: setattr(wire, "down", not wire.down),
        lambda: setattr(wire, "cut", not wire.cut),
        lambda: setattr(wire, "deaf", not wire.deaf),
        lambda: setattr(wire, "lag", chance.choice([0.01, 0.5, 2.0, 4.0])),
        lambda: setattr(candidate.clock, "wrong", chance.choice([0, 3600, -3600])),
        lambda: server.lease and server.edit(**odd),
        server.delete,
        lambda: server.lease and server.annotate(),
        lambda: None,
    ]
    chance.choice(happenings)()


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_never_two_lead_and_in_the_end_one(seed):
    """Twelve minutes of outages, cuts, slow answers, hands and dates, for three operators."""
    chance = random.Random(seed)
    async with election() as field:
        for _ in range(3):
            field.add()
        for _ in range(60):
            befall(field, chance)
            await asyncio.sleep(chance.uniform(0, 24))
        for candidate in field.candidates:
            candidate.wire.down = candidate.wire.cut = candidate.wire.deaf = False
            candidate.wire.lag = 0.01
        await until(lambda: any(c.leads for c in field.candidates), 80)

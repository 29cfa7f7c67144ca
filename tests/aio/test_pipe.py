"""Pipe or node, with all parts together in virtual time."""

import asyncio
from typing import Any

import pytest

from citadel_k8s.domain.witness import Outcome
from tests.aio.fleet import INTERVAL, T_FAILURE, Fleet

pytestmark = pytest.mark.looptime


async def test_a_broken_way_from_the_nodes_makes_nobody_offline_and_writes_nobodys_state():
    async with Fleet(20).running() as fleet:
        fleet.fall_silent(fleet.names)
        await asyncio.sleep(600)
        assert fleet.world.transitions == []
        told = fleet.pipe.condition()
        assert (told.status, told.reason) == ("False", "ArrivalCollapse")
        assert "20 answer when asked" in told.message
        fleet.silent.clear()
        await asyncio.sleep(2 * INTERVAL)
        assert fleet.pipe.condition().reason == "Healthy"
        await asyncio.sleep(100)
        assert fleet.world.transitions == []


@pytest.mark.parametrize("share", [0.5, 0.6, 1.0])
@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.REFUSED])
async def test_nodes_that_lose_power_are_offline_in_time(share: float, outcome: Outcome):
    async with Fleet(20).running() as fleet:
        await asyncio.sleep(30)
        dead = fleet.names[: int(20 * share)]
        fleet.fall_silent(dead, outcome)
        await asyncio.sleep(T_FAILURE + 10)
        assert set(fleet.offline_at) == set(dead)
        assert max(fleet.delays()) < 1.5
        told = fleet.pipe.condition()
        assert told.status == "True"
        await asyncio.sleep(200)
        assert fleet.states() == {"Offline": len(dead), "Online": 20 - len(dead)} or share == 1
        assert fleet.pipe.condition().reason == "Healthy"


async def test_nodes_that_answered_just_before_they_lost_power_are_asked_anew():
    async with Fleet(20).running() as fleet:
        await asyncio.sleep(30)
        dead = fleet.names[:14]
        fleet.fall_silent(dead)
        await asyncio.sleep(T_FAILURE - INTERVAL - 1)  # all are late by now, and all have answered
        assert fleet.offline_at == {}
        fleet.fall_silent(dead, Outcome.REFUSED)
        await asyncio.sleep(INTERVAL + 5)
        assert set(fleet.offline_at) == set(dead)
        assert max(fleet.delays()) < 2


async def test_a_dead_node_whose_port_somebody_has_for_a_while_is_asked_again_soon():
    async with Fleet(20).running() as fleet:
        await asyncio.sleep(30)
        dead = fleet.names[:14]
        fleet.fall_silent(dead, Outcome.REFUSED)
        fleet.fall_silent(dead[:3], Outcome.UNPROVED)
        fleet.doors.asked.clear()
        await asyncio.sleep(T_FAILURE)
        assert len(fleet.offline_at) == 11
        assert all(fleet.doors.asked[fleet.addresses[name]] >= 5 for name in dead[:3])
        fleet.fall_silent(dead[:3], Outcome.REFUSED)
        await asyncio.sleep(8)  # the next question within 3 s, and the next look 4 s after that
        assert set(fleet.offline_at) == set(dead)


async def test_a_few_lost_questions_to_living_nodes_do_not_hold_these_when_they_die():
    async with Fleet(100).running() as fleet:
        controls = fleet.evidence._prober._controls
        for address in fleet.doors.nodes:
            fleet.doors.broken[address] = Outcome.TIMED_OUT
        await fleet.until(lambda: controls._unsure, 60)
        fleet.doors.broken.clear()
        once = set(controls._unsure)
        await asyncio.sleep(120)  # by then so few failures among so many answers say nothing
        fleet.fall_silent({*once, *fleet.names[:70]}, Outcome.REFUSED)
        await asyncio.sleep(T_FAILURE + 5)
        assert once <= set(fleet.offline_at)
        assert max(fleet.delays()) < 2


async def test_an_operator_that_reaches_no_node_takes_no_timeout_for_a_death():
    fleet = Fleet(20)
    for address in fleet.doors.nodes:
        fleet.doors.broken[address] = Outcome.TIMED_OUT
    async with fleet.running():
        await asyncio.sleep(60)
        fleet.fall_silent(fleet.names[:14])
        await asyncio.sleep(2 * T_FAILURE - INTERVAL - 1)
        assert fleet.offline_at == {}
        assert fleet.pipe.condition().status == "Unknown"
        await asyncio.sleep(90)
        assert 1 <= len(fleet.offline_at) <= 5, "released slowly: one in 30 s"


async def test_one_node_that_dies_is_offline_and_one_that_answers_is_degraded():
    async with Fleet(10).running() as fleet:
        fleet.fall_silent(["gpu-1"], Outcome.REFUSED)
        fleet.fall_silent(["gpu-2"])
        await asyncio.sleep(T_FAILURE + 2)
        one, two = (fleet.registry.nodes[name].live for name in ("gpu-1", "gpu-2"))
        assert (one.state, one.reason) == ("Offline", "AgentSilent")
        assert "10.0.0.2 Refused" in one.message
        assert (two.state, two.reason) == ("Degraded", "PublishFailing")
        await asyncio.sleep(300)
        assert fleet.world.state("gpu-2") == "Degraded"
        assert 10 < fleet.doors.asked["10.0.0.3"] < 45
        fleet.silent.clear()
        await asyncio.sleep(3 * INTERVAL)
        assert fleet.states() == {"Online": 10}


async def test_an_answering_node_is_asked_twice_before_one_lost_answer_counts():
    async with Fleet(10).running() as fleet:
        fleet.fall_silent(["gpu-2"])
        await asyncio.sleep(T_FAILURE + 5)
        asked = fleet.doors.asked["10.0.0.3"]
        fleet.doors.broken["10.0.0.3"] = Outcome.TIMED_OUT
        await fleet.until(lambda: fleet.doors.asked["10.0.0.3"] > asked, 20)
        await asyncio.sleep(1)
        del fleet.doors.broken["10.0.0.3"]
        await asyncio.sleep(60)
        assert fleet.world.state("gpu-2") == "Degraded"
        fleet.doors.broken["10.0.0.3"] = Outcome.TIMED_OUT
        await asyncio.sleep(60)
        assert fleet.world.state("gpu-2") == "Offline"


async def test_an_address_that_another_node_has_now_speaks_against_its_former_owner():
    async with Fleet(20).running() as fleet:
        fleet.fall_silent(fleet.names[:14], Outcome.SOMEBODY_ELSE)
        await asyncio.sleep(T_FAILURE + 2)
        assert len(fleet.offline_at) == 14
        assert "as 'another'" in fleet.registry.nodes["gpu-1"].live.message


async def test_the_clusters_word_for_a_node_is_enough():
    fleet = Fleet(20)
    for address in fleet.doors.nodes:
        fleet.doors.broken[address] = Outcome.TIMED_OUT
    async with fleet.running():
        fleet.fall_silent(fleet.names)
        await asyncio.sleep(20)
        for name in fleet.names:
            conditions = [{"type": "Ready", "status": "Unknown"}]
            metadata = {"name": name, "uid": f"uid-{name}"}
            node = {"metadata": metadata, "status": {"conditions": conditions}}
            fleet.registry.observe_kube_node(node)
        await asyncio.sleep(T_FAILURE - 18)
        assert fleet.states() == {"Offline": 20}
        assert fleet.registry.nodes["gpu-1"].live.reason == "NodeNotReady"


class StoppedLeases:
    def __init__(self) -> None:
        self.requests = 0

    async def get_lease(self, namespace: str, name: str, **_: Any) -> dict[str, Any]:
        assert namespace == "kube-node-lease"
        self.requests += 1
        spec = {"renewTime": "2026-01-01T00:00:00.000000Z"}
        return {"metadata": {"name": name}, "spec": spec}

    async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"items": [await self.get_lease("kube-node-lease", f"gpu-{n}") for n in range(20)]}


async def test_kubelets_that_renew_no_more_are_evidence_where_no_node_can_be_asked():
    leases = StoppedLeases()
    fleet = Fleet(20, leases)
    for address in fleet.doors.nodes:
        fleet.doors.broken[address] = Outcome.TIMED_OUT
    async with fleet.running():
        for name in fleet.names:
            fleet.registry.observe_kube_node({"metadata": {"name": name, "uid": name}})
        await asyncio.sleep(60)
        assert leases.requests == 0, "nobody is under suspicion"
        fleet.fall_silent(fleet.names)
        await asyncio.sleep(75)  # late after 15 s, and the Leases did not move for 40 s more
        assert fleet.states() == {"Offline": 20}
        assert "Lease" in fleet.registry.nodes["gpu-1"].live.message


async def test_a_silent_redis_freezes_all_and_asks_nobody():
    async with Fleet(30).running() as fleet:
        asked = sum(fleet.doors.asked.values())
        fleet.reader.fail("connection refused")
        fleet.canary.fail("connection refused")
        fleet.fall_silent(fleet.names)
        await asyncio.sleep(120)
        assert fleet.world.transitions == []
        assert sum(fleet.doors.asked.values()) - asked <= 8, "those who live, once"
        told = fleet.pipe.condition()
        assert (told.status, told.reason, told.message) == (
            "False", "ReaderDown", "connection refused",
        )  # fmt: skip
        fleet.reader.recover()
        fleet.canary.recover()
        await asyncio.sleep(4)
        fleet.silent.clear()
        await asyncio.sleep(60)
        assert fleet.world.transitions == []
        assert fleet.pipe.condition().reason == "Healthy"


async def test_a_redis_that_takes_no_writes_freezes_all_though_it_can_be_read():
    async with Fleet(30).running() as fleet:
        fleet.canary.fail("Redis is full")
        fleet.fall_silent(fleet.names)
        await asyncio.sleep(300)
        assert fleet.world.transitions == []
        assert fleet.pipe.condition().reason == "CanaryLost"
        fleet.canary.recover()
        fleet.silent.clear()
        await asyncio.sleep(60)
        assert fleet.world.transitions == []


async def test_a_canary_that_may_not_sing_keeps_nobody_from_being_judged():
    async with Fleet(10).running() as fleet:
        fleet.canary.fail("no permission")
        fleet.canary.forbidden = True
        fleet.fall_silent(["gpu-1"], Outcome.REFUSED)
        await asyncio.sleep(T_FAILURE + 2)
        assert fleet.world.state("gpu-1") == "Offline"
        told = fleet.pipe.condition()
        assert (told.status, told.reason) == ("Unknown", "CanaryLost")


async def test_nodes_in_a_black_hole_are_asked_so_many_at_once_and_forgotten_when_back():
    async with Fleet(300, at_once=64).running() as fleet:
        fleet.doors.most = 0
        fleet.doors.asked.clear()
        fleet.fall_silent(fleet.names, Outcome.TIMED_OUT)
        await asyncio.sleep(T_FAILURE + 5)
        assert 64 <= fleet.doors.most <= 68
        assert set(fleet.doors.asked) == set(fleet.doors.nodes)
        assert fleet.states() == {"Offline": 300}
        assert max(fleet.delays()) < 5
        fleet.doors.broken.clear()
        fleet.silent.clear()
        await asyncio.sleep(5 * INTERVAL)
        assert fleet.states() == {"Online": 300}
        prober = fleet.evidence._prober
        kept = (prober._known, prober._results, prober._waiting, prober._asking)
        assert [len(each) for each in kept] == [0, 0, 0, 0]
        assert fleet.pipe._fallen == set()


async def test_its_end_is_not_delayed_by_questions_under_way():
    fleet = Fleet(300)
    loop = asyncio.get_running_loop()
    async with fleet.running():
        fleet.fall_silent(fleet.names, Outcome.TIMED_OUT)
        await asyncio.sleep(17)
        assert fleet.doors.open > 0
        began = loop.time()
    assert loop.time() == began
    assert (fleet.doors.open, fleet.doors.closed) == (0, True)


async def test_an_answer_that_makes_the_client_stumble_ends_nothing():
    class Stumbling:
        async def ask(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("unforeseen")

        async def close(self) -> None: ...

    fleet = Fleet(10)
    fleet.evidence._prober._asker = Stumbling()
    async with fleet.running():
        fleet.fall_silent(["gpu-1"])
        await asyncio.sleep(T_FAILURE + 6)
        assert fleet.world.state("gpu-1") == "Offline"


async def test_an_outcome_that_outlives_a_heartbeat_counts_for_nothing():
    async with Fleet(10).running() as fleet:
        fleet.fall_silent(["gpu-1"], Outcome.REFUSED)
        await asyncio.sleep(22)
        record = fleet.registry.nodes["gpu-1"]
        assert fleet.evidence.finding(record, fleet.clock.monotonic()).verdict == "dead"
        fleet.silent.clear()
        await asyncio.sleep(INTERVAL)
        assert fleet.evidence.finding(record, fleet.clock.monotonic()).verdict == "none"


async def test_a_question_that_this_process_slept_through_is_asked_again():
    async with Fleet(40).running() as fleet:
        fleet.fall_silent(fleet.names, Outcome.TIMED_OUT)
        await asyncio.sleep(16)
        assert fleet.doors.open > 0
        fleet.clock.stood += 60
        fleet.doors.broken.clear()
        await asyncio.sleep(20)
        assert fleet.metrics.own_pauses._value.get() == 1
        results = {probe.outcome for probe in fleet.evidence._prober._results.values()}
        assert results == {Outcome.ANSWERS}
        await asyncio.sleep(300)
        assert fleet.world.transitions == []


async def test_nobody_goes_offline_because_the_operator_stood_still():
    async with Fleet(40).running() as fleet:
        for seconds in (6, 30, 300, 900):
            fleet.clock.stood += seconds
            await asyncio.sleep(50)
        assert fleet.world.transitions == []
        assert fleet.pipe.condition().reason == "Healthy"


async def test_a_node_that_dies_behind_a_broken_way_is_found_by_those_that_answer():
    async with Fleet(20).running() as fleet:
        fleet.fall_silent(fleet.names)
        await asyncio.sleep(600)
        assert fleet.world.transitions == []
        fleet.doors.broken["10.0.0.8"] = Outcome.TIMED_OUT
        await asyncio.sleep(45)
        assert set(fleet.offline_at) == {"gpu-7"}


@pytest.mark.parametrize("answering", [0.4, 0.8])
async def test_half_a_fleet_that_can_never_be_reached_is_not_called_dead(answering: float):
    fleet = Fleet(40)
    hidden = [name for n, name in enumerate(fleet.names) if n % 10 >= 10 * answering]
    for name in hidden:
        fleet.doors.broken[fleet.addresses[name]] = Outcome.TIMED_OUT
    async with fleet.running():
        await asyncio.sleep(240)
        fleet.fall_silent(fleet.names)
        await asyncio.sleep(2 * T_FAILURE - INTERVAL)
        assert fleet.offline_at == {}


async def test_three_nodes_in_ten_that_lose_heartbeats_at_random_stay_online():
    async with Fleet(20).running() as fleet:
        for turn in range(40):
            fleet.silent = {name for n, name in enumerate(fleet.names) if (n * 7 + turn) % 10 < 3}
            await asyncio.sleep(INTERVAL)
        assert fleet.offline_at == {}

"""What people, the cluster and the operator before this one say of nodes."""

import itertools

import pytest

from citadel_k8s.domain.keys import object_name
from citadel_k8s.errors import WireError
from citadel_k8s.operator.records import KeptSpec, Memory
from tests.unit.operator.fakes import World

HOUR = 3600.0


def memory(**changes) -> Memory:
    known = {
        "id_ms": 1_795_420_790_000, "boot_id": "boot-gpu-1", "seq": 50, "former_boots": (),
        "state": "Online", "reason": "Heartbeat", "interval": 10.0, "age": 10.0,
    }  # fmt: skip
    return Memory(**{**known, **changes})


# --- people


def test_maintenance_turns_an_outage_into_an_announced_one_and_back():
    world = World()
    world.observe()
    world.beat()
    world.observe(version=11, maintenance=True)
    assert world.state() == "Online"
    world.wait(35)
    assert (world.state(), world.live().reason) == ("Draining", "Maintenance")
    world.observe(version=12)
    assert (world.state(), world.registry.late) == ("Draining", {"gpu-1"})
    world.wait(1)
    assert (world.state(), world.live().reason) == ("Offline", "AgentSilent")
    assert world.registry.late == set()


def test_a_decommissioned_node_is_silent_once_its_silence_is_proved():
    world = World()
    world.observe(decommission=True)
    world.beat()
    world.beat()
    assert (world.state(), world.live().silent) == ("Decommissioned", False)
    world.wait(35)
    assert (world.state(), world.live().silent) == ("Decommissioned", True)


def test_a_shorter_timeout_counts_for_a_node_that_is_silent_already():
    world = World()
    world.observe()
    world.beat()
    world.clock.advance(20)
    world.observe(version=11, heartbeat={"missedHeartbeats": 1, "skewSeconds": 0})
    world.silence()
    assert world.state() == "Offline"


def test_a_new_object_gets_what_people_said_of_the_one_before_for_three_days():
    world = World()
    said = {"config": {"a": 1}, "maintenance": True}
    world.observe(status={"state": "Offline"}, **said)
    world.registry.forget_object("gpu-1")
    assert not world.registry.nodes
    world.clock.advance(71 * HOUR)
    world.beat()
    assert world.registry.nodes["gpu-1"].kept_spec == said


def test_what_people_said_is_forgotten_after_three_days():
    world = World()
    world.observe(status={"state": "Offline"}, config={"a": 1})
    world.registry.forget_object("gpu-1")
    world.clock.advance(73 * HOUR)
    world.beat()
    assert world.registry.nodes["gpu-1"].kept_spec == {}


def test_what_people_took_back_is_not_given_back():
    world = World()
    world.observe(status={"state": "Offline"}, config={"a": 1})
    world.observe(version=11, status={"state": "Offline"})
    world.registry.forget_object("gpu-1")
    assert not world.registry.kept_specs


def test_what_was_kept_by_an_operator_before_reaches_nodes_without_an_object():
    world = World()
    world.beat()
    kept = {"gpu-1": KeptSpec({"config": {"a": 1}}, world.clock.now())}
    world.registry.keep_specs(kept)
    assert world.registry.nodes["gpu-1"].kept_spec == {"config": {"a": 1}}


def test_kept_words_of_objects_that_are_gone_are_bounded():
    world = World()
    now = world.clock.now()
    world.registry.keep_specs({f"n{n}": KeptSpec({"a": n}, now - 9999 + n) for n in range(5000)})
    world.observe(status={"state": "Offline"}, config={"a": 1})
    world.registry.forget_object("gpu-1")
    assert len(world.registry.kept_specs) <= 4096
    assert {"gpu-1", "n4999"} <= world.registry.kept_specs.keys()
    assert "n0" not in world.registry.kept_specs


# --- the cluster


def test_a_node_whose_node_is_not_ready_is_degraded_at_once_and_online_at_once():
    world = World()
    world.kube_node()
    world.beat()
    world.kube_node(ready="Unknown")
    assert (world.state(), world.live().reason) == ("Degraded", "NodeNotReady")
    world.beat()
    assert world.live().reason == "NodeNotReady"
    world.kube_node()
    assert world.state() == "Online"
    world.kube_node(ready="False")
    world.registry.forget_kube_node("gpu-1")
    assert world.state() == "Online"


def test_a_node_first_heard_of_while_its_node_is_not_ready_is_degraded():
    world = World()
    world.kube_node(ready="False")
    world.beat()
    assert world.live().reason == "NodeNotReady"


@pytest.mark.parametrize("first", ["cordon", "goodbye"])
def test_a_goodbye_of_a_cordoned_node_is_a_drain_whichever_comes_first(first):
    world = World()
    world.kube_node()
    world.beat()
    if first == "cordon":
        world.kube_node(unschedulable=True)
    world.beat(envelope={"goodbye": {"reason": "terminating"}})
    world.kube_node(unschedulable=True)
    assert (world.state(), world.live().reason) == ("Draining", "Drain")


def test_a_new_version_after_a_goodbye_is_told_as_an_upgrade():
    world = World()
    world.beat(boot="a", envelope={"agent": {"version": "1.0"}})
    leaving = {"goodbye": {"reason": "terminating"}, "agent": {"version": "1.0"}}
    world.beat(boot="a", envelope=leaving)
    world.clock.advance(30)
    world.beat(boot="b", envelope={"agent": {"version": "1.1"}})
    assert world.reasons[-2:] == [("Terminating", "Upgrade"), ("Upgrade", "Heartbeat")]
    assert world.state() == "Online"


def test_an_expected_node_has_a_record_and_is_missed():
    world = World(expects_kube_nodes=True)
    world.kube_node()
    assert (world.state(), world.registry.nodes["gpu-1"].expected) == ("Unknown", True)
    assert world.registry.checks.get("gpu-1") is not None
    world.wait(35)
    assert (world.state(), world.live().reason) == ("Offline", "NeverReported")


def test_an_expected_node_that_left_the_cluster_unheard_is_forgotten():
    world = World(expects_kube_nodes=True)
    world.kube_node()
    world.registry.forget_kube_node("gpu-1")
    assert not world.registry.nodes
    world.wait(100)


def test_an_expected_node_whose_object_is_deleted_gets_another():
    world = World(expects_kube_nodes=True)
    world.kube_node()
    world.observe(status={"state": "Offline"})
    world.registry.forget_object("gpu-1")
    assert world.registry.nodes["gpu-1"].observed is None
    assert world.registry.checks.get("gpu-1") is not None


@pytest.mark.parametrize(
    "raw", [{}, {"metadata": None}, {"metadata": {"name": "no node!"}}, {"metadata": {"name": ""}}]
)
def test_a_node_of_which_nothing_can_be_read_is_left_alone(raw):
    world = World(expects_kube_nodes=True)
    world.registry.observe_kube_node(raw)
    world.registry.forget_kube_node("no node!")
    assert not world.registry.kube_nodes


@pytest.mark.parametrize("status", [None, {}, {"conditions": "?"}, {"conditions": [1, {}]}])
def test_a_node_that_does_not_say_whether_it_is_ready_is_not_known_to_be(status):
    world = World()
    world.registry.observe_kube_node({"metadata": {"name": "a", "uid": "u"}, "status": status})
    assert world.registry.kube_nodes["a"].ready is None


# --- ids that nobody knows


def test_an_unknown_id_is_quarantined_and_admitted_by_a_node_or_by_an_object():
    world = World(unknown_nodes="quarantine")
    for node in ("gpu-1", "gpu-2"):
        with pytest.raises(WireError, match="UnknownNode"):
            world.beat(node)
    assert set(world.registry.quarantined) == {"gpu-1", "gpu-2"}
    world.kube_node("gpu-1")
    world.observe("gpu-2")
    world.beat("gpu-1")
    world.beat("gpu-2")
    assert (world.state("gpu-1"), world.state("gpu-2")) == ("Online", "Online")
    assert not world.registry.quarantined


def test_an_id_whose_object_is_deleted_is_unknown_again():
    world = World(unknown_nodes="quarantine")
    world.observe()
    world.beat()
    world.registry.forget_object("gpu-1")
    with pytest.raises(WireError, match="UnknownNode"):
        world.beat()


def test_made_up_ids_do_not_fill_the_memory():
    world = World(unknown_nodes="quarantine")
    for number in range(200):
        with pytest.raises(WireError, match="UnknownNode"):
            world.beat(f"made-up-{number}")
    assert len(world.registry.quarantined) == 64
    assert "made-up-199" in world.registry.quarantined


def test_an_ignored_id_leaves_nothing():
    world = World(unknown_nodes="ignore")
    with pytest.raises(WireError, match="UnknownNode"):
        world.beat()
    assert not world.registry.quarantined
    assert not world.registry.nodes


def collision() -> tuple[str, str]:
    seen: dict[str, str] = {}
    for letters in itertools.product("aA", repeat=14):
        node_id = "_" + "".join(letters)
        name = object_name(node_id)
        if name in seen:
            return seen[name], node_id
        seen[name] = node_id
    raise AssertionError("no two of them share a name")


def test_of_two_ids_that_share_an_objects_name_the_first_has_it(monkeypatch):
    monkeypatch.setattr("citadel_k8s.domain.keys._HASH_DIGITS", 4)
    one, other = collision()
    world = World()
    world.beat(one)
    with pytest.raises(WireError, match="NameCollision"):
        world.beat(other)
    metadata = {"name": object_name(other), "uid": "u", "resourceVersion": "1"}
    world.registry.observe({"metadata": metadata, "spec": {"nodeId": other}, "status": {}})
    assert set(world.registry.nodes) == {other}
    with pytest.raises(WireError, match="NameCollision"):
        world.beat(one)


# --- the operator before


def test_a_node_is_recalled_with_the_age_of_its_last_word():
    world = World()
    world.restore()
    world.registry.recall("gpu-1", memory(age=30))
    world.wait(5)
    assert (world.state(), world.live().message) == ("Offline", "no heartbeat for 35 s")


def test_what_was_counted_before_is_refused():
    world = World()
    world.restore()
    world.registry.recall("gpu-1", memory())
    with pytest.raises(WireError, match="Replayed"):
        world.beat(seq=50)
    world.beat(seq=51)


def test_a_node_known_to_be_dead_stays_so_whichever_says_it():
    world = World()
    world.restore("gpu-1", "Online")
    world.restore("gpu-2", "Offline")
    world.registry.recall("gpu-1", memory(state="Offline", reason="NodeNotReady", age=300))
    world.registry.recall("gpu-2", memory(age=300))
    assert [world.state(node) for node in ("gpu-1", "gpu-2")] == ["Offline", "Offline"]
    assert world.live("gpu-1").reason == "NodeNotReady"


def test_a_node_that_came_back_after_its_object_was_written_is_back():
    world = World()
    world.restore(state="Offline")
    world.registry.recall("gpu-1", memory(age=3))
    assert world.state() == "Online"


def test_a_living_node_without_an_object_is_recalled_and_a_dead_one_is_not():
    world = World()
    world.registry.recall("gpu-1", memory(age=3))
    world.registry.recall("gpu-2", memory(age=36))
    world.registry.recall("gpu-3", memory(state="Offline"))
    world.registry.recall("no node!", memory())
    assert set(world.registry.nodes) == {"gpu-1"}


def test_garbage_in_the_snapshot_and_late_news_from_it_change_nothing():
    world = World()
    world.beat()
    world.registry.recall("gpu-1", memory(state="Offline"))
    world.restore("gpu-2")
    world.registry.recall("gpu-2", memory(state="Wonderful"))
    assert (world.state("gpu-1"), world.live("gpu-2").last_beat) == ("Online", None)


def test_what_is_remembered_of_a_node_gives_the_same_node_back():
    world = World()
    world.beat(boot="a")
    world.wait(40)
    world.beat(boot="b")
    world.clock.advance(5)
    goodbye = {"goodbye": {"reason": "terminating", "expectedBackSeconds": 300}}
    world.beat(boot="b", envelope=goodbye)
    record = world.registry.nodes["gpu-1"]
    remembered = Memory.of(record)
    assert remembered is not None
    world.clock.advance(20)
    again = World()
    again.clock.advance(world.clock.monotonic() - again.clock.monotonic())
    again.restore(state="Draining")
    again.registry.recall("gpu-1", Memory(**{**_fields(remembered), "age": 20.0}))
    before, after = record.live, again.live()
    same = ("state", "reason", "boot_id", "seq", "former_boots", "former_seqs", "phase")
    assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]
    assert after.deadline == pytest.approx(before.deadline, abs=0.01)
    assert after.changes == pytest.approx(before.changes, abs=0.01)


def test_nothing_is_remembered_of_a_node_that_was_not_heard():
    world = World()
    world.restore()
    assert Memory.of(world.registry.nodes["gpu-1"]) is None


def _fields(value: Memory) -> dict:
    return {name: getattr(value, name) for name in Memory.__dataclass_fields__}

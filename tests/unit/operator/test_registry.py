"""What news makes of nodes."""

import pytest

from citadel_k8s.errors import WireError
from citadel_k8s.stores.entries import Entry, EntryId
from tests.unit.domain.samples import gpu
from tests.unit.operator.fakes import World

RAW = {
    "metadata": {"name": "gpu-1", "uid": "u1", "generation": 1, "resourceVersion": "10"},
    "spec": {"nodeId": "gpu-1"},
    "status": {"state": "Online", "confirmedTime": "2026-11-23T08:00:00Z"},
}


def raw(version: int = 10, **status):
    metadata = {**RAW["metadata"], "resourceVersion": str(version)}
    return {**RAW, "metadata": metadata, "status": {**RAW["status"], **status}}


def test_a_first_heartbeat_makes_a_node_known_and_due():
    world = World()
    world.beat()
    assert world.state() == "Online"
    assert list(world.registry.checks.pop_due(world.clock.monotonic())) == ["gpu-1"]


def test_silence_counts_only_as_far_as_the_stream_is_proved_open():
    world = World()
    world.beat()
    heard = world.clock.monotonic()
    world.clock.advance(1000)
    world.registry.fall_silent(world.clock.monotonic(), heard + 34)
    assert world.state() == "Online"
    world.registry.fall_silent(world.clock.monotonic(), heard + 35)
    assert world.state() == "Offline"


def test_while_nobody_can_be_heard_nobody_falls_silent():
    world = World()
    world.beat()
    world.clock.advance(60)
    world.registry.defer(world.clock.monotonic())
    world.silence()
    assert world.state() == "Online"
    world.clock.advance(14)
    world.beat()
    world.clock.advance(34)
    world.silence()
    assert world.state() == "Online"


def test_a_node_that_stays_silent_after_the_pipe_opened_is_found():
    world = World()
    world.beat()
    world.clock.advance(60)
    world.registry.defer(world.clock.monotonic())
    world.clock.advance(15)
    world.silence()
    assert world.state() == "Offline"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry(EntryId(1, 1), "bad id!", b"{}"), "BadNodeId"),
        (Entry(EntryId(1, 1), "", b"{}"), "BadNodeId"),
        (Entry(EntryId(1, 1), "gpu-1", b"{"), "NotJson"),
        (Entry(EntryId(1, 1), "gpu-1", b"[]"), "BadField"),
        (Entry(EntryId(1, 1), "gpu-1", b""), "NotJson"),
        (Entry(EntryId(1, 1), "gpu-1", b'{"version": "9.0", "status": {}}'), "UnsupportedVersion"),
        (Entry(EntryId(1, 1), "gpu-1", b"x" * (1024 * 1024 + 1)), "Oversized"),
        (Entry(EntryId(1, 1), "gpu-1", b"{}", org_id="other"), "WrongOrg"),
    ],
)
def test_an_entry_that_must_not_count_changes_nothing(entry, reason):
    world = World()
    with pytest.raises(WireError) as caught:
        world.registry.hear(entry, 0)
    assert caught.value.reason == reason
    assert not world.registry.nodes


def test_a_payload_that_names_another_node_than_its_entry_is_refused():
    world = World()
    entry = world.entry("gpu-2")
    forged = Entry(entry.id, "gpu-1", entry.payload)
    with pytest.raises(WireError, match="WrongNode"):
        world.registry.hear(forged, 0)


def test_entries_of_the_own_org_and_unstamped_ones_count():
    world = World(org_id="acme")
    world.beat("gpu-1", org="acme")
    world.beat("gpu-2")
    assert set(world.registry.nodes) == {"gpu-1", "gpu-2"}


def test_a_replayed_entry_is_refused_and_keeps_nobody_alive():
    world = World()
    entry = world.entry()
    world.registry.hear(entry, 0)
    world.clock.advance(30)
    with pytest.raises(WireError, match="Replayed"):
        world.registry.hear(entry, 0)
    world.clock.advance(5)
    world.silence()
    assert world.state() == "Offline"


def test_steady_heartbeats_ask_for_no_write():
    world = World()
    world.beat()
    list(world.registry.checks.pop_due(world.clock.monotonic()))
    world.clock.advance(10)
    world.beat()
    assert world.registry.checks.get("gpu-1") is None


def test_a_lost_gpu_is_due_at_once():
    world = World()
    world.beat()
    record = world.registry.nodes["gpu-1"]
    list(world.registry.checks.pop_due(world.clock.monotonic()))
    world.clock.advance(10)
    world.beat(gpu=[gpu(0, health="failed", reason="GpuLost")])
    assert world.state() == "Degraded"
    assert world.registry.checks.get("gpu-1") == world.clock.monotonic()
    assert world.transitions[-1] == ("gpu-1", "Online", "Degraded")
    assert record.live.reason == "GpuLost"


def test_a_restored_node_is_online_until_a_full_timeout_has_passed():
    world = World()
    world.registry.observe(raw())
    world.clock.advance(34)
    world.silence()
    assert world.state() == "Online"
    world.clock.advance(1)
    world.silence()
    assert world.state() == "Offline"


def test_a_restored_object_with_a_garbage_status_is_unknown():
    world = World()
    world.registry.observe(raw(state={"no": "state"}, conditions="none"))
    assert world.state() == "Unknown"


def test_an_object_whose_node_id_is_none_is_left_alone():
    world = World()
    world.registry.observe({**RAW, "spec": {"nodeId": "not a node!"}})
    assert not world.registry.nodes


def test_old_news_of_an_object_does_not_replace_newer():
    world = World()
    world.registry.observe(raw(version=10, state="Offline"))
    world.registry.observe(raw(version=9, state="Online"))
    record = world.registry.nodes["gpu-1"]
    assert record.observed is not None
    assert record.observed.status_document()["state"] == "Offline"


def test_an_object_under_another_name_does_not_get_between_a_node_and_its_own():
    world = World()
    metadata = {"name": "aaa", "uid": "u", "resourceVersion": "1"}
    world.registry.observe({"metadata": metadata, "spec": {"nodeId": "gpu-1"}, "status": {}})
    world.restore(state="Online")
    assert world.registry.nodes["gpu-1"].observed.name == "gpu-1"


def test_a_second_object_for_the_same_node_is_not_taken():
    world = World()
    world.registry.observe(raw())
    world.registry.observe({**RAW, "metadata": {**RAW["metadata"], "name": "other", "uid": "u2"}})
    assert world.registry.nodes["gpu-1"].name == "gpu-1"
    assert world.registry.by_name("other") is None


def test_a_living_node_whose_object_was_deleted_gets_a_new_one_with_what_people_said():
    world = World()
    world.registry.observe({**RAW, "spec": {"nodeId": "gpu-1", "config": {"a": 1}}})
    world.beat()
    list(world.registry.checks.pop_due(world.clock.monotonic()))
    world.registry.forget_object("gpu-1", "u1")
    record = world.registry.nodes["gpu-1"]
    assert record.observed is None
    assert record.kept_spec == {"config": {"a": 1}}
    assert world.registry.checks.get("gpu-1") is not None


def test_a_dead_node_whose_object_was_deleted_is_forgotten():
    world = World()
    world.registry.observe(raw(state="Offline"))
    world.registry.forget_object("gpu-1", "u1")
    assert not world.registry.nodes
    world.clock.advance(1000)
    world.silence()


def test_the_deletion_of_a_former_object_of_that_name_means_nothing():
    world = World()
    world.registry.observe(raw())
    world.registry.forget_object("gpu-1", "another-uid")
    assert world.registry.nodes["gpu-1"].observed is not None


def test_an_objects_own_timeouts_count():
    world = World()
    spec = {"nodeId": "gpu-1", "heartbeat": {"missedHeartbeats": 10, "skewSeconds": 0}}
    world.registry.observe({**RAW, "spec": spec})
    world.beat()
    assert world.registry.nodes["gpu-1"].live.policy.timeout == 100


def test_garbage_timeouts_count_as_none():
    world = World()
    world.registry.observe({**RAW, "spec": {"nodeId": "gpu-1", "heartbeat": {"skewSeconds": -5}}})
    assert world.registry.nodes["gpu-1"].live.policy.timeout == 35


def test_a_clock_that_is_off_degrades_a_node_after_two_reports():
    world = World()
    for _ in range(2):
        world.beat(envelope={"timestamp": "2020-01-01T00:00:00Z"})
        world.clock.advance(10)
    record = world.registry.nodes["gpu-1"]
    assert (record.live.state.value, record.live.reason) == ("Degraded", "ClockSkew")


def test_old_news_of_a_node_without_an_object_brings_none_back():
    """The object of a dead node was deleted; its last words may still lie in the stream."""
    world = World()
    world.beat("gpu-1", age=36)
    assert "gpu-1" not in world.registry.nodes
    world.beat("gpu-1", age=34)
    assert world.state("gpu-1") == "Online"

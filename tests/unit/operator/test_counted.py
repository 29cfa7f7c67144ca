"""What an operator before this one counted, by its place in the stream: ages can be wrong."""

from dataclasses import replace

import pytest

from citadel_k8s.errors import WireError
from citadel_k8s.operator.counted import Counted
from citadel_k8s.operator.remembered import decoded, encoded, line_of, memory_of
from citadel_k8s.stores.entries import EntryId
from tests.unit.operator.test_reader import Setting


class StandingStill(Setting):
    """Redis' clock was set back by an hour: its ids count on within one millisecond."""

    def __init__(self) -> None:
        super().__init__()
        self.place = EntryId(int(self.world.clock.now() * 1000), 0)
        self.world.clock.jump(-3600)

    def speak(self, node_id: str = "gpu-1", **kwargs) -> None:
        self.place = EntryId(self.place.ms, self.place.seq + 1)
        entry = self.world.entry(node_id, **kwargs)
        self.stream.entries.append(replace(entry, id=self.place))


async def taken_over(setting: Setting) -> Setting:
    """Read all, and give the operator after this one, which has not read yet."""
    await setting.reader.step()
    await setting.reader.step()
    after = Setting()
    after.stream.entries, after.world.clock = setting.stream.entries, setting.world.clock
    after.world.registry.clock = after.reader.clock = after.stream.world.clock = setting.world.clock
    now_ms = int(setting.world.clock.now() * 1000)
    for node_id, record in setting.world.registry.nodes.items():
        state = record.live.state.value
        after.world.restore(node_id, state)
        line = decoded(encoded(line_of(record)))
        assert line is not None
        after.world.registry.recall(node_id, memory_of(line, now_ms))
    return after


async def test_old_boots_do_not_take_over_while_ids_stand_still():
    setting = StandingStill()
    for boot in [f"b{number}" for number in range(12)]:
        setting.speak(boot=boot, seq=3)
        setting.world.clock.advance(1)
    after = await taken_over(setting)
    await after.reader.step()
    live = after.world.registry.nodes["gpu-1"].live
    assert (live.boot_id, live.former_boots[-1]) == ("b11", "b10")
    assert after.rejected("accepted") == 0


async def test_a_dead_node_without_boot_ids_stays_dead_while_ids_stand_still():
    setting = StandingStill()
    nameless = {"bootId": None, "seq": None}
    setting.speak("gpu-2", envelope=nameless)
    for _ in range(6):
        setting.speak("gpu-1")
        await setting.pass_time(10)
    assert setting.world.state("gpu-2") == "Offline"
    after = await taken_over(setting)
    await after.pass_time(5)
    assert after.world.state("gpu-2") == "Offline"
    after.world.clock.advance(1)
    setting.speak("gpu-2", envelope=nameless)
    await after.pass_time(1)
    setting.speak("gpu-2", envelope=nameless)
    await after.pass_time(1)
    assert after.world.state("gpu-2") == "Online"


async def test_a_dead_node_whose_object_was_deleted_gets_none_while_ids_stand_still():
    setting = StandingStill()
    setting.speak("gpu-2")
    await setting.pass_time(50)
    memory = memory_of(line_of(setting.world.registry.nodes["gpu-2"]), int(1e15))
    after = Setting()
    after.stream.entries = setting.stream.entries
    after.world.registry.recall("gpu-2", memory)
    after.world.clock.jump(-3600)
    await after.reader.step()
    assert "gpu-2" not in after.world.registry.nodes


async def test_what_came_since_the_snapshot_counts():
    setting = StandingStill()
    setting.speak(boot="b1", seq=1)
    after = await taken_over(setting)
    setting.speak(boot="b1", seq=2)
    setting.speak(boot="b2", seq=1)
    await after.reader.step()
    assert after.rejected("accepted") == 2
    assert after.world.registry.nodes["gpu-1"].live.boot_id == "b2"


async def test_a_stream_that_ends_before_what_was_counted_is_another_one():
    setting = StandingStill()
    setting.speak(boot="b1", seq=1)
    after = await taken_over(setting)
    after.stream.entries = [after.world.entry("gpu-1", boot="b2", seq=1)]  # an hour before
    await after.reader.step()
    assert after.world.registry.nodes["gpu-1"].live.boot_id == "b2"
    assert after.world.registry.counted.upto == EntryId.ZERO


async def test_the_next_word_of_the_same_process_counts_wherever_it_lies():
    setting = StandingStill()
    setting.speak(boot="b1", seq=1)
    after = await taken_over(setting)
    registry = after.world.registry
    first = EntryId(1, 0)
    registry.hear(after.world.entry(boot="b1", seq=2), 0.0, position=first)
    with pytest.raises(WireError, match="Replayed"):
        registry.hear(after.world.entry(boot="b9", seq=1), 0.0, position=first)


async def test_a_node_on_its_way_back_needs_no_more_words_for_a_restart():
    setting = Setting()
    for _ in range(6):
        setting.speak("gpu-1")
        await setting.pass_time(10)
    setting.speak("gpu-2")
    await setting.pass_time(50, speaking=("gpu-1",))
    setting.speak("gpu-2")
    after = await taken_over(setting)
    assert after.world.state("gpu-2") == "Offline"
    after.world.clock.advance(10)
    setting.speak("gpu-2")
    await after.reader.step()
    assert after.world.state("gpu-2") == "Online"


async def test_once_all_was_read_no_places_are_kept():
    after = await taken_over(StandingStill())
    await after.reader.step()
    assert after.world.registry.counted.upto == EntryId.ZERO


def test_of_nobody_heard_nothing_is_covered():
    counted = Counted()
    counted.note("a", None)
    assert not counted.covers("a", EntryId(1, 0))
    counted.note("a", EntryId(1, 5))
    assert counted.covers("a", EntryId(1, 5))
    assert not counted.covers("a", EntryId(1, 6))
    assert not counted.covers("b", EntryId(1, 5))
    counted.clear()
    assert not counted.covers("a", EntryId(1, 5))

"""Reading the stream, and what may be concluded from it."""

from dataclasses import replace

import pytest

from citadel_k8s.errors import StreamError
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.reader import PIPE_GAP, READ_COUNT, Reader
from citadel_k8s.stores.entries import Entry, EntryId, StreamHead
from tests.unit.operator.fakes import World


class Stream:
    """A stream whose server can be taken away; a wait takes its time on the world's clock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.entries: list[Entry] = []
        self.trimmed = 0
        self.down = False

    def trim(self, keep: int) -> None:
        self.trimmed += len(self.entries) - keep
        self.entries = self.entries[-keep:]

    async def read(self, after, *, count=500, block=2.0):
        if self.down:
            self.world.clock.advance(block + 3)
            raise StreamError("away")
        found = [entry for entry in self.entries if entry.id > after][:count]
        if not found:
            self.world.clock.advance(block)
        return found

    async def head(self):
        if self.down:
            self.world.clock.advance(1)
            raise StreamError("away")
        last = self.entries[-1].id if self.entries else EntryId.ZERO
        length = len(self.entries)
        now_ms = int(self.world.clock.now() * 1000)
        return StreamHead(last, now_ms, length, self.trimmed + length)


class Setting:
    def __init__(self) -> None:
        self.world = World()
        self.stream = Stream(self.world)
        self.metrics = OperatorMetrics()
        self.reader = self.new_reader()

    def new_reader(self) -> Reader:
        return Reader(self.stream, self.world.registry, self.world.clock, self.metrics)

    def speak(self, node_id: str = "gpu-1", **kwargs) -> None:
        self.stream.entries.append(self.world.entry(node_id, **kwargs))

    async def pass_time(self, seconds: float, *, speaking: tuple[str, ...] = ()) -> None:
        """Let nodes speak each 10 s and the operator read and judge, as its loops do."""
        end = self.world.clock.monotonic() + seconds
        due = self.world.clock.monotonic() + 10
        while self.world.clock.monotonic() < end:
            if self.world.clock.monotonic() >= due:
                due += 10
                for node_id in speaking if not self.stream.down else ():
                    self.speak(node_id)
            try:
                await self.reader.step()
            except StreamError:
                pass
            else:
                self.world.clock.advance(0.1)
            if self.reader.proved_until is not None:
                now = self.world.clock.monotonic()
                self.world.registry.fall_silent(now, self.reader.proved_until)

    def rejected(self, reason: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "citadel_operator_entries_total", {"result": reason}
        )
        return value or 0.0

    def lost(self) -> float | None:
        return self.metrics.registry.get_sample_value("citadel_operator_entries_lost_total")


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def test_a_dead_node_is_found_and_the_living_ones_are_not(setting):
    setting.speak("gpu-1")
    setting.speak("gpu-2")
    await setting.pass_time(40, speaking=("gpu-2",))
    assert (setting.world.state("gpu-1"), setting.world.state("gpu-2")) == ("Offline", "Online")


async def test_an_outage_of_the_stream_makes_nobody_offline(setting):
    nodes = ("gpu-1", "gpu-2", "gpu-3")
    for node in nodes:
        setting.speak(node)
    await setting.pass_time(30, speaking=nodes)
    setting.stream.down = True
    await setting.pass_time(60)
    setting.stream.down = False
    await setting.pass_time(60, speaking=nodes)
    assert {before for _, before, _ in setting.world.transitions} == {"Unknown"}


async def test_a_node_that_died_during_an_outage_is_found_after_it(setting):
    setting.speak("gpu-1")
    setting.speak("gpu-2")
    await setting.pass_time(5)
    setting.stream.down = True
    await setting.pass_time(60)
    setting.stream.down = False
    await setting.pass_time(20, speaking=("gpu-2",))
    assert (setting.world.state("gpu-1"), setting.world.state("gpu-2")) == ("Offline", "Online")


async def test_a_pause_of_the_operator_itself_makes_nobody_offline(setting):
    setting.speak("gpu-1")
    await setting.pass_time(5)
    setting.world.clock.advance(120)
    await setting.pass_time(30, speaking=("gpu-1",))
    assert setting.world.state() == "Online"
    assert len(setting.world.transitions) == 1


async def test_a_restarted_operator_takes_ages_from_the_stream(setting):
    setting.speak("gpu-1")
    for _ in range(3):
        setting.world.clock.advance(10)
        setting.speak("gpu-2")
    setting.reader = setting.new_reader()
    await setting.reader.step()
    assert setting.world.registry.nodes["gpu-1"].live.age(setting.world.clock.monotonic()) == 30
    await setting.pass_time(6)
    assert (setting.world.state("gpu-1"), setting.world.state("gpu-2")) == ("Offline", "Online")


async def test_an_operator_that_starts_into_an_outage_waits_before_it_judges(setting):
    """Everybody's last word is old: more likely an outage that just ended than a dead fleet."""
    for node in ("gpu-1", "gpu-2"):
        setting.world.restore(node)
        setting.speak(node)
    setting.world.clock.advance(60)
    await setting.pass_time(14)
    assert "Offline" not in {state for *_, state in setting.world.transitions}
    await setting.pass_time(3)
    assert setting.world.state("gpu-1") == "Offline"


async def test_a_flushed_stream_is_read_from_its_new_beginning(setting):
    setting.speak("gpu-1")
    await setting.reader.step()
    earlier = EntryId(setting.reader.cursor.ms - 1000, 0)
    setting.stream.entries = [Entry(earlier, "gpu-2", setting.world.entry("gpu-2").payload)]
    proved = setting.reader.proved_until
    await setting.reader.step()
    assert (setting.reader.cursor, setting.reader.proved_until) == (EntryId.ZERO, proved)
    await setting.reader.step()
    assert setting.reader.cursor == earlier
    assert "gpu-2" in setting.world.registry.nodes


async def test_who_speaks_into_a_flushed_stream_whose_clock_is_behind_is_heard_in_time(setting):
    setting.speak("gpu-1")
    await setting.pass_time(31.5)
    behind = replace(setting.world.entry("gpu-1"), id=EntryId(1000, 0))
    setting.stream.entries = [behind]
    await setting.pass_time(6)
    assert "Offline" not in {state for *_, state in setting.world.transitions}
    assert setting.reader.cursor == behind.id


async def test_what_is_read_of_a_stream_that_lost_some_is_read_again_from_its_beginning(setting):
    setting.speak("gpu-1")
    setting.speak("gpu-1")
    await setting.reader.step()
    ahead = EntryId(setting.reader.cursor.ms + 1, 0)
    lower = EntryId(setting.reader.cursor.ms - 1, 0)
    entry = setting.world.entry("gpu-2")
    setting.stream.entries = [replace(entry, id=lower, node_id="gpu-2")]
    other = setting.world.entry("gpu-3")
    setting.stream.entries += [replace(other, id=ahead)]
    setting.stream.trimmed = -1
    await setting.reader.step()
    await setting.reader.step()
    assert {"gpu-2", "gpu-3"} <= set(setting.world.registry.nodes)


async def test_a_flushed_stream_gives_the_living_time_to_speak_again(setting):
    setting.speak("gpu-1")
    await setting.reader.step()
    setting.world.clock.advance(32)
    setting.stream.entries = [Entry(EntryId(5, 0), "gpu-2", setting.world.entry("gpu-2").payload)]
    await setting.reader.step()
    deadline = setting.world.registry.nodes["gpu-1"].live.deadline
    assert deadline == pytest.approx(setting.world.clock.monotonic() + 15)


async def test_a_long_backlog_proves_nothing_before_its_end(setting):
    for _ in range(READ_COUNT + 1):
        setting.speak()
    await setting.reader.step()
    assert not setting.reader.caught_up
    await setting.reader.step()
    assert setting.reader.caught_up


async def test_bad_entries_are_counted_and_the_good_ones_between_them_are_taken(setting):
    now = int(setting.world.clock.now() * 1000)
    for number, payload in enumerate((b"{", b"[]", b"\xff\xfe", b'{"version":"7"}')):
        setting.stream.entries.append(Entry(EntryId(now, number), "gpu-9", payload))
    setting.stream.entries.append(Entry(EntryId(now, 10), "bad id", b"{}"))
    setting.speak("gpu-1")
    await setting.reader.step()
    assert set(setting.world.registry.nodes) == {"gpu-1"}
    assert setting.rejected("NotJson") == 2
    assert setting.rejected("BadField") == 1
    assert setting.rejected("UnsupportedVersion") == 1
    assert setting.rejected("BadNodeId") == 1
    assert setting.rejected("accepted") == 1


async def test_a_proof_reaches_no_further_than_the_wait_of_an_empty_read(setting):
    setting.speak()
    await setting.reader.step()
    began = setting.world.clock.monotonic()
    await setting.reader.step()
    assert setting.reader.proved_until == began + 1.0
    assert setting.reader.proof_age() == 0
    assert PIPE_GAP > 1.0


async def test_an_id_from_the_future_is_taken_for_now(setting):
    setting.speak()
    last = EntryId(2**63, 0)
    setting.stream.entries[-1] = replace(setting.stream.entries[-1], id=last)
    await setting.reader.step()
    record = setting.world.registry.nodes["gpu-1"]
    assert record.heard_ms == int(setting.world.clock.now() * 1000)
    assert record.facts.clock_offset == pytest.approx(0, abs=1)
    assert setting.reader.cursor == last


async def test_entries_trimmed_below_the_cursor_are_counted_and_silence_is_deferred(setting):
    for node in ("gpu-1", "gpu-2"):
        setting.speak(node)
    await setting.reader.step()
    setting.world.clock.advance(34)
    for _ in range(9):
        setting.speak("gpu-2")
    setting.stream.trim(keep=3)
    await setting.reader.step()
    assert setting.lost() == 6
    deadline = setting.world.registry.nodes["gpu-1"].live.deadline
    assert deadline == pytest.approx(setting.world.clock.monotonic() + 15)


async def test_entries_trimmed_after_they_were_read_are_not_lost(setting):
    setting.speak()
    await setting.reader.step()
    for _ in range(3):
        for _ in range(5):
            setting.speak()
        await setting.reader.step()
        setting.stream.trim(keep=1)
        await setting.reader.step()
    assert setting.lost() == 0


async def test_what_was_trimmed_before_this_operator_read_anything_is_not_its_loss(setting):
    for _ in range(5):
        setting.speak()
    setting.stream.trim(keep=2)
    await setting.reader.step()
    await setting.reader.step()
    assert setting.lost() == 0


async def test_a_read_that_failed_halfway_is_counted_once(setting):
    setting.speak()
    await setting.reader.step()
    setting.speak()
    head = setting.stream.head
    setting.stream.head = unreachable
    with pytest.raises(StreamError):
        await setting.reader.step()
    setting.stream.head = head
    await setting.reader.step()
    assert setting.lost() == 0
    assert setting.metrics.registry.get_sample_value("citadel_operator_stream_resets_total") == 0


async def unreachable():
    raise StreamError("away")


async def test_a_stream_made_anew_with_later_ids_is_read_from_its_beginning(setting):
    for _ in range(5):
        setting.speak()
    await setting.reader.step()
    setting.stream.entries = []
    setting.world.clock.advance(11)
    setting.speak("gpu-2")
    await setting.reader.step()
    await setting.reader.step()
    assert setting.metrics.registry.get_sample_value("citadel_operator_stream_resets_total") == 1
    assert setting.world.state("gpu-2") == "Online"


async def test_a_backlog_is_read_without_a_pause(setting):
    for _ in range(2 * READ_COUNT):
        setting.speak()
    await setting.reader.step()
    assert setting.reader.behind
    await setting.reader.step()
    await setting.reader.step()
    assert not setting.reader.behind

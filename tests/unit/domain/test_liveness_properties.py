"""What stays true of a node's life whatever happens, in simulated time.

A story is a list of steps: a pause, and what happens then. The network loses, repeats and reorders;
people and the cluster say what they want; the operator dies at any step and another takes over from
the object alone, or from the snapshot.
"""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from citadel_k8s.domain.absence import instructed, noticed
from citadel_k8s.domain.doubles import sighted
from citadel_k8s.domain.life import calmed
from citadel_k8s.domain.liveness import (
    Beat,
    Goodbye,
    Liveness,
    Phase,
    answering,
    beaten,
    created,
    deferred,
    expired,
    rejection,
)
from citadel_k8s.domain.restoring import Past, recalled, restored, resumed
from citadel_k8s.models.fabricnode import NodeState
from tests.unit.domain.voices import FAST, FULL, LOST

STEPS = st.lists(
    st.tuples(
        st.floats(0, 60),
        st.sampled_from(
            ["beat", "beat", "beat", "fault", "soft", "goodbye", "restart", "double", "replay",
             "late", "wait", "maintain", "end", "retire", "recall", "notready", "ready", "closed",
             "answer"]
        ),
    ),
    max_size=40,
)  # fmt: skip
TAKEOVERS = st.sampled_from(["none", "object", "snapshot"])


@dataclass
class Story:
    """One node, whoever watches it."""

    node: Liveness = field(default_factory=lambda: created(FAST, 0.0))
    now: float = 0.0
    boot: int = 0
    seq: int = 0
    heard: float | None = None
    sent: list[Beat] = field(default_factory=list)
    stream: list[Beat] = field(default_factory=list)
    offline_at: list[tuple[float, float | None]] = field(default_factory=list)

    def take(self, node: Liveness) -> None:
        if node.state is NodeState.OFFLINE and self.node.state is not NodeState.OFFLINE:
            self.offline_at.append((self.now, self.heard))
        self.node = node

    def speak(self, *, age: float = 0.0, **kwargs) -> None:
        self.seq += 1
        beat = Beat(at=self.now - age, boot_id=f"b{self.boot}", seq=self.seq, **kwargs)
        self.sent.append(beat)
        self.arrive(beat)

    def arrive(self, beat: Beat) -> None:
        self.stream.append(beat)
        self.listen(beat)

    def listen(self, beat: Beat) -> None:
        refused = rejection(self.node, beat, self.now)
        if refused is None:
            self.heard = beat.at if self.heard is None else max(self.heard, beat.at)
            self.take(beaten(self.node, beat, self.now))
        elif refused == "FormerBoot":
            self.take(sighted(self.node, beat, self.now))

    def want(self, *, maintenance: bool | None = None, decommission: bool | None = None) -> None:
        node = self.node
        self.take(
            instructed(
                node,
                maintenance=node.maintenance if maintenance is None else maintenance,
                decommission=node.decommission if decommission is None else decommission,
                now=self.now,
            )
        )

    def tick(self) -> None:
        self.take(calmed(expired(self.node, self.now), self.now))

    def step(self, event: str) -> None:  # noqa: C901, PLR0912 - one line each
        match event:
            case "beat":
                self.speak()
            case "fault":
                self.speak(faults=(LOST,))
            case "soft":
                self.speak(faults=(FULL,))
            case "goodbye":
                self.speak(goodbye=Goodbye("terminating"))
            case "restart":
                self.boot, self.seq = self.boot + 1, 0
                self.speak()
            case "double":
                self.arrive(Beat(at=self.now, boot_id="other", seq=self.seq + 1))
            case "replay":
                for beat in self.sent[-3:]:
                    self.arrive(replace(beat, at=self.now))
            case "late":
                self.speak(age=50)
            case "maintain":
                self.want(maintenance=True)
            case "end":
                self.want(maintenance=False)
            case "retire":
                self.want(decommission=True)
            case "recall":
                self.want(decommission=False)
            case "notready":
                self.take(noticed(self.node, self.now, ready=False))
            case "ready":
                self.take(noticed(self.node, self.now, ready=True))
            case "closed":
                self.take(deferred(self.node, self.now + FAST.stale_after))
            case "answer":
                if self.node.deadline is not None and self.now >= self.node.deadline:
                    self.take(answering(self.node, self.now))

    def takeover(self, how: str) -> None:
        """Let the operator die, and another begin where this one stood."""
        if how == "none":
            return
        node = self.node
        fresh = restored(
            node.policy,
            self.now,
            state=node.state,
            reason=node.reason,
            message=node.message,
            maintenance=node.maintenance,
            decommission=node.decommission,
        )
        fresh = noticed(fresh, self.now, ready=node.node_ready)
        if how == "snapshot" and node.last_beat is not None:
            back_by = node.deadline if node.phase is Phase.LEAVING or node.held else None
            past = Past(
                last_beat=node.last_beat,
                boot_id=node.boot_id,
                seq=node.seq,
                former_boots=node.former_boots,
                former_seqs=node.former_seqs,
                back_by=back_by,
                changes=node.changes,
            )
            fresh = recalled(fresh, past, self.now)
        self.take(resumed(fresh, self.now))
        for beat in self.stream:
            self.listen(beat)

    def settle(self) -> None:
        """Let the node speak steadily, and nobody want anything of it."""
        self.want(maintenance=False, decommission=False)
        self.take(noticed(self.node, self.now, ready=None))
        for _ in range(130):
            self.now += FAST.interval
            self.tick()
            self.speak()

    def die(self) -> None:
        """Let nothing be heard any more for longer than any absence lasts."""
        for _ in range(200):
            self.now += 5
            self.tick()


def lived(story: list[tuple[float, str]], takeovers: list[str]) -> Story:
    told = Story()
    for number, (pause, event) in enumerate(story):
        told.now += pause
        if event != "answer":
            told.tick()
        told.step(event)
        told.takeover(takeovers[number % len(takeovers)])
    return told


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_nobody_is_offline_before_the_timeout_after_the_last_word_that_counted(story):
    for moment, heard in lived(story, ["none"]).offline_at:
        if heard is None:
            assert moment >= FAST.timeout
        else:
            assert moment - heard >= FAST.timeout


@settings(max_examples=60, deadline=None)
@given(STEPS, st.lists(TAKEOVERS, min_size=1, max_size=20))
def test_nor_when_the_operator_dies_at_every_step(story, takeovers):
    for moment, heard in lived(story, takeovers).offline_at:
        assert heard is None or moment - heard >= FAST.timeout


@settings(max_examples=60, deadline=None)
@given(STEPS, st.lists(TAKEOVERS, min_size=1, max_size=20))
def test_silence_is_always_found_whatever_happened_before(story, takeovers):
    told = lived(story, takeovers)
    told.want(maintenance=False, decommission=False)
    told.die()
    assert told.node.state is NodeState.OFFLINE
    assert told.node.silent


@settings(max_examples=60, deadline=None)
@given(STEPS, st.lists(TAKEOVERS, min_size=1, max_size=20))
def test_a_node_that_speaks_steadily_is_online_in_the_end_whatever_happened_before(
    story, takeovers
):
    told = lived(story, takeovers)
    told.settle()
    assert (told.node.state, told.node.reason) == (NodeState.ONLINE, "Heartbeat")
    assert not told.node.flapping


@settings(max_examples=60, deadline=None)
@given(STEPS, st.lists(TAKEOVERS, min_size=1, max_size=20))
def test_whoever_watched_a_dead_node_says_the_same_of_it_in_the_end(story, takeovers):
    one, other = lived(story, ["none"]), lived(story, takeovers)
    for told in (one, other):
        told.die()
        told.want()
        told.die()
    assert one.node.state is other.node.state


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 10), st.integers(1, 20), TAKEOVERS)
def test_a_crash_is_told_exactly_at_the_timeout(pause, beats, takeover):
    told = Story()
    for _ in range(beats):
        told.now += pause
        told.speak()
    last = told.now
    told.now += FAST.timeout / 2
    told.takeover(takeover if takeover == "snapshot" else "none")
    told.now = last + FAST.timeout - 0.001
    told.tick()
    assert told.node.state is NodeState.ONLINE
    told.now = last + FAST.timeout
    told.tick()
    assert told.node.state is NodeState.OFFLINE


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=10), st.data())
def test_neither_order_nor_repetition_of_words_matters_to_when_a_node_was_heard(
    order, repeated, data
):
    """All sent within one interval; whichever comes first, the newest sent is the last word."""
    sent = [Beat(at=100 + i / 2, boot_id="a", seq=i + 1) for i in range(12)]
    arrivals = [sent[i] for i in order]
    for number in repeated:
        arrivals.insert(data.draw(st.integers(0, len(arrivals))), sent[number])
    node = created(FAST, 99)
    for beat in arrivals:
        node = beaten(node, beat, 107)
    assert node.state is NodeState.ONLINE
    newest = max(sent, key=lambda beat: beat.seq)
    assert (node.seq, node.last_beat, node.deadline) == (12, newest.at, newest.at + FAST.timeout)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.lists(TAKEOVERS, min_size=1, max_size=20))
def test_state_and_phase_never_contradict_each_other(story, takeovers):
    told = Story()
    for number, (pause, event) in enumerate(story):
        told.now += pause
        told.tick()
        told.step(event)
        told.takeover(takeovers[number % len(takeovers)])
        node = told.node
        assert node.reason
        assert node.state is not NodeState.STALE
        if node.decommission and not node.to_be_judged:
            assert node.state is NodeState.DECOMMISSIONED
        if node.state is NodeState.OFFLINE:
            assert node.down
            assert not node.maintenance
        if node.state is NodeState.ONLINE:
            assert node.fresh
        if node.deadline is None:
            assert node.down
        assert node.since <= told.now

import json
from collections.abc import Iterable

from citadel_k8s.domain.alertgroups import GROUPS_MAX, GroupKey, Groups, Message
from citadel_k8s.domain.alerts import Alert
from citadel_k8s.domain.alerttext import document, text

START = 1_795_420_800.0
SILENT = GroupKey("NodeOffline", "AgentSilent")


def alerts(names: Iterable[str], reason: str = "AgentSilent") -> list[Alert]:
    return [Alert("NodeOffline", reason, "critical", "silent", START, name) for name in names]


def fleet(count: int) -> list[str]:
    return [f"gpu-{i:04}" for i in range(count)]


def groups() -> Groups:
    return Groups(wait=10, repeat=3600)


def tell(groups: Groups, now: float) -> list[Message]:
    told = [groups.message(key) for key in groups.due(now)]
    for message in told:
        groups.told(message, now)
    return told


def test_one_node_is_told_after_the_wait_and_once() -> None:
    board = groups()
    board.sync(alerts(["a"]), 0)
    assert tell(board, 9) == []
    (message,) = tell(board, 10)
    assert [a.node for a in message.firing] == ["a"]
    board.sync(alerts(["a"]), 11)
    assert tell(board, 3000) == []


def test_a_mass_loss_that_takes_half_a_minute_is_one_message() -> None:
    board = groups()
    told: list[Message] = []
    for second in range(200):
        dead = min(2500, 84 * (second + 1))
        board.sync(alerts(fleet(dead)), second)
        told += tell(board, second)
    (message,) = told
    assert len(message.firing) == 2500
    said = text(message)
    assert "2,500 nodes: gpu-0000, gpu-0001" in said
    assert "and 2,490 more" in said


def test_a_kind_that_never_stops_growing_is_told_within_a_minute() -> None:
    board = groups()
    for second in range(61):
        board.sync(alerts(fleet(second + 1)), second)
        assert bool(tell(board, second)) == (second == 60)


def test_what_is_over_within_the_wait_is_never_told() -> None:
    board = groups()
    board.sync(alerts(["a"]), 0)
    board.sync([], 5)
    assert tell(board, 100) == []


def test_the_end_is_told_to_whoever_was_told_the_beginning() -> None:
    board = groups()
    board.sync(alerts(["a", "b"]), 0)
    tell(board, 10)
    board.sync([], 100)
    (message,) = tell(board, 110)
    assert (message.status, message.over) == ("resolved", ("a", "b"))
    assert text(message) == "[RESOLVED] NodeOffline (AgentSilent): 2 nodes: a, b"


def test_messages_of_one_kind_keep_a_minutes_distance() -> None:
    board = groups()
    board.sync(alerts(["a"]), 0)
    tell(board, 10)
    board.sync(alerts(["a", "b"]), 20)
    assert tell(board, 69) == []
    (message,) = tell(board, 70)
    assert (len(message.firing), message.fresh) == (2, 1)


def test_a_kind_that_comes_and_goes_cannot_tell_more_often() -> None:
    board = groups()
    told = 0
    for second in range(600):
        board.sync(alerts(["a"]) if second % 30 < 15 else [], second)
        told += len(tell(board, second))
    assert told <= 600 / 60 + 1


def test_what_fires_on_is_told_again_after_the_repeat() -> None:
    board = groups()
    board.sync(alerts(["a"]), 0)
    tell(board, 10)
    assert tell(board, 3609) == []
    (message,) = tell(board, 3610)
    assert message.fresh == 0


def test_a_message_is_made_anew_at_each_try_until_it_is_told() -> None:
    board = groups()
    board.sync(alerts(["a"]), 0)
    first = board.message(SILENT)
    assert board.message(SILENT).id == first.id
    board.sync(alerts(["a", "b"]), 30)
    again = board.message(SILENT)
    assert [a.node for a in again.firing] == ["a", "b"]
    assert again.id != first.id


def test_what_changes_while_a_message_is_under_way_is_still_to_be_told() -> None:
    board = groups()
    board.sync(alerts(["a"]), 0)
    message = board.message(SILENT)
    board.sync(alerts(["a", "b"]), 10)
    board.told(message, 11)
    (later,) = tell(board, 100)
    assert later.fresh == 1


def test_no_wait_is_no_wait() -> None:
    board = Groups(wait=0, repeat=3600)
    board.sync(alerts(["a"]), 0)
    assert len(tell(board, 0)) == 1


def test_the_gravest_kind_is_told_first() -> None:
    board = groups()
    warning = Alert("NodeDegraded", "DiskFull", "warning", "full", START, "b")
    board.sync([warning, *alerts(["a"])], 0)
    assert [key.name for key in board.due(10)] == ["NodeOffline", "NodeDegraded"]


def test_reasons_without_end_end_in_one_kind() -> None:
    board = groups()
    many = [a for i in range(500) for a in alerts([f"n{i}"], reason=f"Odd{i}")]
    board.sync(many, 0)
    told = tell(board, 10)
    assert len(told) == GROUPS_MAX + 1
    (other,) = [m for m in told if m.key.reason == "Other"]
    assert len(other.firing) == 500 - GROUPS_MAX
    board.sync([], 20)
    for second in (80, 200):
        tell(board, second)
        board.sync([], second + 61)
    assert board.due(10_000) == []


def test_a_new_leader_knows_what_was_told() -> None:
    old = groups()
    old.sync(alerts(["a", "b"]), 0)
    tell(old, 10)
    record = old.record(SILENT, 20, START + 20)
    assert record is not None
    new = groups()
    new.recall({"NodeOffline/AgentSilent": record}, 1000, START + 30)
    new.sync(alerts(["b"]), 1000)
    assert tell(new, 1010) == []  # the last message was 30 s ago
    (message,) = tell(new, 1050)
    assert message.over == ("a",)
    assert message.fresh == 0


def test_a_new_leader_tells_the_end_of_what_is_over() -> None:
    kept = {"severity": "critical", "toldAt": START - 900, "told": {"a": START - 1000}}
    board = groups()
    board.recall({"NodeOffline/AgentSilent": json.dumps(kept).encode()}, 0, START)
    board.sync([], 0)
    (message,) = tell(board, 10)
    assert message.status == "resolved"
    assert board.record(SILENT, 11, START) is None


def test_records_of_garbage_are_left_out() -> None:
    board = groups()
    garbage = [b"", b"{", b"[]", b"{}", b'{"told":1,"toldAt":0,"severity":""}', b"\xff"]
    board.recall({f"A/{i}": data for i, data in enumerate(garbage)}, 0, START)
    board.recall({"no slash": b'{"told":{},"toldAt":0,"severity":"x"}'}, 0, START)
    board.sync([], 0)
    assert board.due(100) == []


def test_a_document_names_fifty_and_counts_the_rest() -> None:
    board = groups()
    board.sync(alerts(fleet(2500)), 0)
    fields = document(board.message(SILENT), {"org": "acme"}, "2026-01-01T00:00:00Z")
    assert (fields["count"], len(fields["nodes"]), fields["more"]) == (2500, 50, 2450)
    assert fields["nodes"][0] == {
        "node": "gpu-0000",
        "since": "2026-11-23T08:00:00Z",
        "message": "silent",
    }
    assert fields["labels"] == {"org": "acme"}
    assert len(json.dumps(fields)) < 16_384

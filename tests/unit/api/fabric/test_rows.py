import json

from citadel_k8s.api.fabric.onenode import history_view
from citadel_k8s.api.fabric.rows import Item, Judge, moment, words_of
from citadel_k8s.domain.life import Policy
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.views import NodeSummary
from citadel_k8s.stores.postgres.fleet import FleetRow, Ingested, IngestRow
from citadel_k8s.stores.postgres.past import BucketRow
from tests.unit.api.live.rows import INGESTED, row, spoken


def item(made: FleetRow, ingested: Ingested = INGESTED) -> Item:
    words = words_of(made, "acme")
    return Item(made, words, Judge(ingested, Policy()).judge(made, words))


def at(frontier_ms: int) -> Ingested:
    return Ingested((IngestRow(0, 0, frontier_ms, 0, 0.0),), frontier_ms)


def test_a_row_is_told_in_the_words_of_its_model() -> None:
    made = item(spoken(profile='{"name": "x", "vramBytes": 1}', pulse='{"cpu": 0.5}',
                       labels='{"a": "b"}', headscale_id="7"))  # fmt: skip
    told = json.loads(made.encoded(5.0))

    view = NodeSummary.model_validate_json(made.encoded(5.0))
    assert view.model_dump(mode="json", exclude_none=True) == told
    assert told["age"] == 5.0
    assert "age" not in json.loads(made.encoded(None))


def test_a_row_stays_as_it_is_while_only_its_silence_grows() -> None:
    made = spoken(stream_ms=0)
    before, later = item(made, at(200_000)), item(made, at(300_000))

    assert before.state is NodeState.OFFLINE
    assert before.head == later.head
    assert before.still(made, later.judged)
    assert not before.still(spoken(stream_ms=1), later.judged)


def test_without_ingest_nobodys_silence_counts() -> None:
    nothing = Ingested((), 0)

    assert item(spoken(stream_ms=1), nothing).state is NodeState.ONLINE
    assert item(row(), nothing).judged.reason == "NeverReported"


def test_the_beginning_of_a_silence_is_told_before_the_worker_notes_it() -> None:
    assert item(spoken(stream_ms=0), at(500_000)).since_ms == 100_000
    noted = spoken(stream_ms=0, state="Offline", state_since_ms=123_456)
    assert item(noted, at(500_000)).since_ms == 123_456


def test_odd_words_in_the_database_break_nothing() -> None:
    made = item(spoken(profile="[]", pulse="null", labels="7"))

    assert (made.name, made.models, made.gpu_count) == ("a", (), None)
    assert made.text
    assert moment(10**18) is None


def test_history_lies_on_a_grid() -> None:
    nothing = (None,) * 6
    rows = [BucketRow(600_000, 3, 0.123456, *nothing)]

    view = history_view(rows, 0, 1200, 300)

    assert view.start == "1970-01-01T00:00:00Z"
    assert view.cpu == [None, None, 0.1235, None]
    assert view.beats == [None, None, 3, None]

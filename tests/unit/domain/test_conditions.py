"""Conditions that come with a configuration, with unrest and with maintenance."""

import json
from dataclasses import replace

import pytest

from citadel_k8s.constants import STATUS_MAX_BYTES
from citadel_k8s.domain.absence import instructed
from citadel_k8s.domain.conditions import Claim, Wanted, claims, conditions_of
from citadel_k8s.domain.facts import NodeFacts, facts_from
from citadel_k8s.domain.liveness import Liveness, answering, expired
from citadel_k8s.domain.projection import View, desired_status
from citadel_k8s.models.fabricnode import Condition, FabricNodeStatus
from tests.unit.domain.samples import message, service
from tests.unit.domain.voices import online

NOW = "2026-11-23T08:17:33Z"
BEFORE = "2026-11-23T08:00:00Z"


def facts(revision: str | None = None, error: str | None = None) -> NodeFacts:
    config = {"revision": revision, "error": error}
    return facts_from(message(config={k: v for k, v in config.items() if v is not None}))


def claim(kind: str, node: Liveness, what: NodeFacts | None, **kwargs) -> Claim | None:
    return next((c for c in claims(node, what, **kwargs) if c.type == kind), None)


def applied(known: NodeFacts, wanted: Wanted) -> tuple[str, str]:
    found = claim("ConfigApplied", online(), known, wanted=wanted)
    assert found is not None
    return found.status, found.reason


@pytest.mark.parametrize(
    ("known", "wanted", "status", "reason"),
    [
        (facts(), Wanted(), "Unknown", "NoConfig"),
        (facts("r1"), Wanted(), "Unknown", "NoConfig"),
        (facts("r1"), Wanted("r1"), "True", "Applied"),
        (facts("r0"), Wanted("r1"), "False", "Pending"),
        (facts(), Wanted("r1"), "False", "Pending"),
        (facts("r0", "bad engine"), Wanted("r1"), "False", "Refused"),
        (facts("r1"), Wanted(None, "BadField"), "False", "Refused"),
    ],
)
def test_a_configuration_is_applied_when_the_node_says_so(known, wanted, status, reason):
    assert applied(known, wanted) == (status, reason)


def test_why_a_configuration_is_refused_is_said_and_cut():
    found = claim("ConfigApplied", online(), facts("r0", "x" * 5000), wanted=Wanted("r1"))
    assert found is not None
    assert found.message.startswith("xxx")
    assert len(found.message) <= 256


def test_what_of_a_configuration_means_nothing_here_is_said():
    found = claim("ConfigApplied", online(), facts("r1"), wanted=Wanted("r1", None, ("ssh",)))
    assert found is not None
    assert found.message == "revision r1; without ssh"


@pytest.mark.parametrize("silent", [expired(online(100), 135), answering(online(100), 135)])
def test_of_a_silent_node_nobody_knows_what_it_has_applied(silent):
    found = claim("ConfigApplied", silent, facts("r1"), wanted=Wanted("r1"))
    assert found is not None
    assert found[1:3] == ("Unknown", silent.reason)


def test_a_node_that_only_answers_is_not_ready_and_nothing_of_it_is_fresh():
    node = answering(online(100), 135)
    status = {c.type: (c.status, c.reason) for c in claims(node, facts())}
    assert status["Ready"] == ("False", "PublishFailing")
    assert status["HeartbeatFresh"] == ("False", "PublishFailing")
    assert status["GPUHealthy"] == ("Unknown", "PublishFailing")


def test_flapping_is_told_while_it_lasts_and_that_it_is_over():
    node = replace(online(), flapping=True)
    assert claim("Flapping", online(), facts()) is None
    found = claim("Flapping", node, facts())
    assert found is not None
    assert (found.status, found.reason) == ("True", "StateChanges")
    over = claim("Flapping", online(), facts(), known={"Flapping"})
    assert over is not None
    assert (over.status, over.reason) == ("False", "Settled")


def test_maintenance_is_told_only_while_it_lasts():
    node = instructed(online(), maintenance=True, decommission=False, now=101)
    found = claim("Maintenance", node, facts())
    assert found is not None
    assert found.status == "True"
    assert claim("Maintenance", online(), facts(), known={"Maintenance"}) is None
    assert claim("Maintenance", expired(node, 135), None) is not None


def test_the_dates_of_a_condition_that_comes_back_are_its_own():
    old = Condition(type="Flapping", status="False", reason="Settled", last_transition_time=BEFORE)
    found = conditions_of(replace(online(), flapping=True), facts(), [old], now=NOW, generation=3)
    flapping = next(c for c in found if c.type == "Flapping")
    assert (flapping.last_transition_time, flapping.observed_generation) == (NOW, 3)


def status(node: Liveness, known: NodeFacts | None, before: str | None = None) -> FabricNodeStatus:
    previous = FabricNodeStatus(config_revision=before)
    return desired_status(View(node, known, previous, 1, NOW, None, Wanted("r1")))


def test_the_object_names_the_revision_that_the_node_has():
    assert status(online(), facts("r1"), "r0").config_revision == "r1"
    assert status(online(), facts(), "r0").config_revision is None


def test_of_a_silent_node_the_object_keeps_the_last_revision():
    gone = expired(online(100), 135)
    assert status(gone, None, "r0").config_revision == "r0"
    assert status(gone, facts("r1"), "r0").config_revision == "r1"
    assert status(gone, facts(), "r0").config_revision == "r0"


def test_a_status_with_everything_that_can_be_said_stays_within_its_size():
    said = message(
        services=[service(name="ß" * 300, health="€" * 300) for _ in range(30)],
        config={"revision": "€" * 300, "error": "€" * 9000},
        addresses=["€" * 300],
    )
    node = instructed(
        replace(online(), flapping=True), maintenance=True, decommission=False, now=101
    )
    node = replace(node, message="€" * 500)
    view = View(
        node, facts_from(said), FabricNodeStatus(), 1, NOW, None, Wanted("€" * 300, "€" * 900)
    )
    kept = desired_status(view).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert len(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()) <= (
        STATUS_MAX_BYTES
    )

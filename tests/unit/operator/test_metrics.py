"""The operator's own figures."""

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as text_families

from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.metrics import OTHER, REASONS_MAX, OperatorMetrics
from tests.unit.operator.fakes import World


def test_a_node_that_names_a_new_reason_each_time_makes_no_series_each_time():
    metrics = OperatorMetrics()
    for number in range(1000):
        metrics.moved(NodeState.DRAINING, f"Reason{number}")
    (family,) = metrics.transitions.collect()
    counts = {s.labels["reason"]: s.value for s in family.samples if s.name.endswith("_total")}
    assert len(counts) == REASONS_MAX + 1
    assert counts[OTHER] == 1000 - REASONS_MAX


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_each_node_is_told_with_its_state_in_a_text_that_a_scraper_can_read(accept: str):
    world, metrics = World(), OperatorMetrics()
    metrics.watch(world.registry.nodes)
    for node_id in ("gpu-1", "GPU_2.x"):
        world.beat(node_id)
    text, content_type = metrics.render(accept)
    assert ("openmetrics" in content_type) == bool(accept)
    read = openmetrics_families if accept else text_families
    families = {family.name: family for family in read(text.decode())}
    told = families["citadel_node_state"].samples
    assert {(s.labels["node"], s.labels["state"], s.value) for s in told} == {
        ("gpu-1", "Online", 1.0),
        ("GPU_2.x", "Online", 1.0),
    }
    counted = {s.labels["state"]: s.value for s in families["citadel_nodes"].samples}
    assert (counted["Online"], counted["Offline"]) == (2, 0)


def test_a_fleet_of_none_is_told_as_well():
    text, _ = OperatorMetrics().render("")
    assert b"citadel_node_state{" not in text

"""The operator's own figures."""

from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.metrics import OTHER, REASONS_MAX, OperatorMetrics


def test_a_node_that_names_a_new_reason_each_time_makes_no_series_each_time():
    metrics = OperatorMetrics()
    for number in range(1000):
        metrics.moved(NodeState.DRAINING, f"Reason{number}")
    (family,) = metrics.transitions.collect()
    counts = {s.labels["reason"]: s.value for s in family.samples if s.name.endswith("_total")}
    assert len(counts) == REASONS_MAX + 1
    assert counts[OTHER] == 1000 - REASONS_MAX

"""Scrapes of a node with everything, read back."""

from prometheus_client.parser import text_string_to_metric_families as prometheus

from citadel_k8s.aio.outbox import Freshness
from citadel_k8s.domain.report import Speaker
from citadel_k8s.domain.snapshot import Snapshot
from citadel_k8s.models.readings import Gpu, Gpus, Reading
from citadel_k8s.models.wire import ConfigInfo
from citadel_k8s.telemetry.agent_metrics import AgentMetrics, Exposed
from tests.unit.domain.richnode import SPEAKER, moment, rich

FRESH = Freshness(last_success=900.0, last_attempt=950.0, consecutive_failures=2, sent=5, failed=3)
CONFIG = ConfigInfo(revision="7", applied_at="2026-11-23T07:00:00Z")
ZERO, ONE = (("gpu", "0"), ("uuid", "GPU-0")), (("gpu", "1"), ("uuid", "GPU-1"))
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

Series = dict[str, dict[tuple[tuple[str, str], ...], float]]


def metrics(
    snapshot: Snapshot,
    *,
    at: float = 1000.0,
    freshness: Freshness | None = FRESH,
    speaker: Speaker = SPEAKER,
    dcgm: bool = False,
    config: ConfigInfo | None = CONFIG,
) -> AgentMetrics:
    exposed = Exposed(
        speaker, snapshot, moment(at), freshness, "redis", waiting=1, loop_lag=0.01, config=config
    )
    return AgentMetrics(lambda: exposed, dcgm=dcgm)


def scrape(snapshot: Snapshot, **more) -> Series:
    body, content_type = metrics(snapshot, **more).render("")
    assert content_type.startswith("text/plain")
    series: Series = {}
    for family in prometheus(body.decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in series.get(sample.name, {}), "the same series twice"
            series.setdefault(sample.name, {})[labels] = sample.value
    return series


def labelled(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def of_gpu(series: Series, name: str, **labels: str) -> dict[str, float]:
    """Give a metric's values by the GPU's index, where the labels are these."""
    return {
        dict(key)["gpu"]: value
        for key, value in series.get(name, {}).items()
        if labels.items() <= dict(key).items()
    }


def everything() -> Snapshot:
    card = Gpu(0, name="AMD Instinct MI300X", vendor="amd", health="ok")
    return rich().learn_drm(Reading(Gpus("6.8.0", (card,))), at=1000, duration=0)

"""``GET /api/fabric/trends``: how busy some nodes were of late, for the small curves of a list."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.fabric.queries import Query
from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.api.frame.route import Call
from citadel_k8s.constants import NODE_ID_MAX
from citadel_k8s.domain.keys import check_node_id
from citadel_k8s.errors import WireError
from citadel_k8s.models.codec import format_timestamp
from citadel_k8s.models.views import View
from citadel_k8s.stores.postgres.past import Past

NODES_MAX: Final = 100
"""Nodes of one question: more than a page shows at once."""

STEP: Final = 300
"""Length of a stored bucket, in seconds."""

BUCKETS: Final = 6
"""Buckets, that of now included: half an hour."""

DIGITS: Final = 3
"""Decimals of a ratio: a curve is some twenty pixels high."""

_NAMES_MAX: Final = NODES_MAX * (NODE_ID_MAX + 1)

Names = Annotated[str, StringConstraints(min_length=1, max_length=_NAMES_MAX)]


class TrendsQuery(Query):
    """Ids of nodes, separated by commas."""

    nodes: Names


class TrendView(View):
    """Means of one node by bucket, ratios of 0 to 1; null is a gap."""

    util: list[float | None]
    vram: list[float | None]


class TrendsView(View):
    """Means in buckets of the same length, the oldest first, by node id.

    ``start`` is that of the first bucket. Nodes of which nothing was heard are left out.
    """

    start: str
    bucket_seconds: int
    nodes: dict[str, TrendView] = Field(default_factory=dict[str, TrendView])


class Trends:
    """Answers with trends.

    Parameters
    ----------
    past : Past
        Has the figures.
    clock : Clock
        The wall clock: where they end.
    """

    def __init__(self, past: Past, clock: Clock) -> None:
        self._past = past
        self._clock = clock

    async def __call__(self, call: Call) -> TrendsView:
        """Answer with the last half hour of the nodes that are named."""
        names = names_of(call.asked(TrendsQuery).nodes)
        end = (int(self._clock.now()) // STEP + 1) * STEP
        first = end - BUCKETS * STEP
        rows = await self._past.trends(call.who.org_id, names, first=first, end=end)
        nodes: dict[str, TrendView] = {}
        for row in rows:
            trend = nodes.get(row.node_id)
            if trend is None:
                trend = nodes[row.node_id] = TrendView(util=[None] * BUCKETS, vram=[None] * BUCKETS)
            place = (row.bucket_ms // 1000 - first) // STEP
            trend.util[place], trend.vram[place] = _short(row.util), _short(row.vram)
        return TrendsView(start=format_timestamp(first), bucket_seconds=STEP, nodes=nodes)


def names_of(text: str) -> list[str]:
    """Give the ids that are named, each once.

    Raises
    ------
    RefusalError
        400: none, too many, or what no node can be called.
    """
    names = sorted({name for part in text.split(",") if (name := part.strip())})
    if not 0 < len(names) <= NODES_MAX:
        raise bad_request(f"nodes: 1 to {NODES_MAX} ids, separated by commas")
    for name in names:
        try:
            check_node_id(name)
        except WireError:
            raise bad_request(f"nodes: {name[:NODE_ID_MAX]!r} is no node's id") from None
    return names


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)

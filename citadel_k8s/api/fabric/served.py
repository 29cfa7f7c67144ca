"""``GET /api/fabric/models``: which models are served now, by whom, and how well."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.fabric.lastword import mapping
from citadel_k8s.api.fabric.queries import ModelsQuery
from citadel_k8s.api.fabric.shelf import Shelf
from citadel_k8s.api.fabric.single import Single
from citadel_k8s.api.frame.route import Call
from citadel_k8s.domain.facts import clip
from citadel_k8s.domain.standing import CURRENT
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.models.views import ModelView
from citadel_k8s.stores.postgres.fleet import ServicesRow

SERVICES_HOLD: Final = 2.0
"""How long what nodes run is given to everybody, in seconds: it changes seldom, and to read it from
1,000 nodes takes the database 20 ms."""

MODEL_MAX: Final = 256
"""Characters kept of a model's name."""

SERVICES_MAX: Final = 64
"""Services of one node that are looked at."""

WELL: Final = frozenset({"ok", "healthy"})
"""Words for a service that answers. Source: the wire contract, which has both."""

SERVING: Final = CURRENT | {NodeState.STALE}
"""States of a node whose models can be asked, as far as is known."""


class Services(Protocol):
    """Where it is kept what nodes run; `stores.postgres.fleet.Fleet` does."""

    async def services(self, org_id: str) -> list[ServicesRow]:
        """Give what the nodes of an org run and can; raises `DatabaseError`."""
        ...


@dataclass(slots=True)
class _Model:
    nodes: list[str] = field(default_factory=list[str])
    replicas: int = 0
    healthy: int | None = None
    engines: set[str] = field(default_factory=set[str])


class ServedModels:
    """Answers with models.

    Parameters
    ----------
    shelf : Shelf
        Says which nodes speak.
    services : Services
        What they run.
    clock : Clock
        What measures how old a reading is.
    """

    def __init__(self, shelf: Shelf, services: Services, clock: Clock) -> None:
        self._shelf = shelf
        self._services = Single(services.services, clock, hold=SERVICES_HOLD)

    async def __call__(self, call: Call) -> list[ModelView]:
        """Answer with a model each, by name; a node that is silent serves none."""
        org_id, wanted = call.who.org_id, (call.asked(ModelsQuery).q or "").casefold()
        items = (await self._shelf.listing(org_id)).items
        found: dict[str, _Model] = {}
        for row in await self._services.get(org_id):
            item = items.get(row.node_id)
            if item is not None and item.state in SERVING:
                _add(found, row)
        return [
            ModelView(
                model=name,
                nodes=sorted(model.nodes),
                replicas=model.replicas,
                engines=sorted(model.engines),
                healthy=model.healthy,
            )
            for name, model in sorted(found.items())
            if wanted in name.casefold()
        ]


def _add(found: dict[str, _Model], row: ServicesRow) -> None:
    for service in running(row.services):
        health = service.get("health")
        engine = service.get("engine") or service.get("name")
        for name in dict.fromkeys(_names(service.get("models"))):
            model = found.setdefault(name, _Model())
            if row.node_id not in model.nodes:
                model.nodes.append(row.node_id)
            model.replicas += 1
            if isinstance(engine, str):
                model.engines.add(clip(engine))
            # A health that nobody knows is neither good nor bad.
            if isinstance(health, str) and health != "unknown":
                model.healthy = (model.healthy or 0) + (health in WELL)


def running(services: Any) -> Iterator[Mapping[str, Any]]:
    """Give the services that run: one that is installed and stopped serves nothing now."""
    items: list[Any] = services if isinstance(services, list) else []  # pyright: ignore[reportUnknownVariableType]
    for service in map(mapping, items[:SERVICES_MAX]):
        if service.get("status") == "running":
            yield service


def _names(models: Any) -> Iterator[str]:
    items: list[Any] = models if isinstance(models, list) else []  # pyright: ignore[reportUnknownVariableType]
    return (clip(name, MODEL_MAX) for name in items[:SERVICES_MAX] if isinstance(name, str))

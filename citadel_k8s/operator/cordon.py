"""Cordons Nodes with broken hardware, if told to: carefully, few at a time, and never for good.

A driver's bad release looks like a thousand broken GPUs. So there is a breaker: when more Nodes
would be cordoned than may be, none is, and that is told loudly.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from citadel_k8s.aio.clock import Clock
from citadel_k8s.config.operator import Cordon as CordonSettings
from citadel_k8s.domain import cordoning
from citadel_k8s.domain.alerts import Alert
from citadel_k8s.domain.breaker import Breaker
from citadel_k8s.domain.cordoning import Taint
from citadel_k8s.domain.events import Kind
from citadel_k8s.domain.hardware import hardware_faults
from citadel_k8s.errors import KubeError
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.operator.newsmetrics import NewsMetrics
from citadel_k8s.operator.records import NodeRecord
from citadel_k8s.operator.registry import Registry
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.cordon")

TICK: Final = 5.0
"""Seconds between two looks at the nodes."""

SETTLE: Final = 30.0
"""Seconds for which a fault has to last: a heartbeat confirms it, and what befalls many nodes
befalls them within this, so that the breaker sees them together."""

CLEAN: Final = 300.0
"""Seconds for which a Node has to be well before it is uncordoned."""

LISTING: Final = 60.0
"""Seconds between two looks at which Nodes carry our label: at most a tenth of all, and those that
a person took back."""

CONFLICT: Final = 409

REFUSALS: Final = frozenset(range(400, 500)) - {401, 429}
"""HTTP statuses that may speak of the one Node, as where a webhook guards it."""

REFUSED_MAX: Final = 8
"""Nodes that may be refused in one look before the rest is left for the next: without the right to
change any, nobody has to be told of each."""

_ACTIONS: Final = {
    "Cordoned": "cordoned",
    "Uncordoned": "uncordoned",
    "CordonDeclined": "declined",
}


class NodeApi(Protocol):
    """What this asks of the API server; `clients.kube.KubeClient` has it."""

    async def list_nodes(self, *, label_selector: str | None = None) -> list[dict[str, Any]]:
        """Give Nodes."""
        ...

    async def get_node(self, name: str) -> dict[str, Any] | None:
        """Give a Node."""
        ...

    async def patch_node(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Merge a patch into a Node."""
        ...


class Teller(Protocol):
    """Tells Events; `operator.events.Recorder` does."""

    def tell(
        self, reason: str, message: str, *, kind: Kind = "Normal", record: NodeRecord | None = None
    ) -> None:
        """Take what happened to a node, or to the fleet."""
        ...


@dataclass(slots=True)
class _Suspect:
    """A node with broken hardware: since when, and what was said of it."""

    since: float
    faults: tuple[str, ...]
    told: bool = False
    declined: bool = False


@dataclass(slots=True)
class Cordon:
    """Cordons and uncordons.

    Parameters
    ----------
    settings : CordonSettings
        Whether, how many, and with which taint.
    leads : callable
        Whether this operator knows enough and is the one that writes.

    Raises
    ------
    ConfigError
        If the taint is none.
    """

    settings: CordonSettings
    api: NodeApi
    registry: Registry
    clock: Clock
    metrics: NewsMetrics
    teller: Teller
    leads: Callable[[], bool]
    taint: Taint | None = field(init=False)
    breaker: Breaker = field(default_factory=Breaker)
    _suspects: dict[str, _Suspect] = field(default_factory=dict[str, _Suspect])
    _clean_since: dict[str, float] = field(default_factory=dict[str, float])
    _ours: dict[str, dict[str, Any]] | None = None
    _declined: set[str] = field(default_factory=set[str])
    _listed_at: float = 0.0
    _refused: int = 0
    _trouble: RepeatLog = field(init=False)

    def __post_init__(self) -> None:
        self.taint = Taint.parse(self.settings.taint) if self.settings.taint else None
        self._trouble = RepeatLog(_log, "cordon_failing", clock=self.clock)

    async def run(self) -> None:
        """Watch over the Nodes for ever."""
        while True:
            await asyncio.sleep(TICK)
            await self.once()

    async def once(self) -> None:
        """Look at the nodes, and do what is to be done; a server that refuses is tried again."""
        if self.settings.mode == "off":
            return
        if not self.leads():
            self._forget()
            return
        self._refused = 0
        try:
            await self._once()
        except KubeError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - told here
            self._trouble.failed(error=repr(error), exc_info=error)
        else:
            if not self._refused:
                self._trouble.recovered()

    def alerts(self) -> Iterable[Alert]:
        """Give what people are to be alerted of: that the breaker is open."""
        if self.breaker.is_open:
            message = "too many Nodes have broken hardware at once; none is cordoned"
            yield Alert("CordonBreakerOpen", "TooMany", "critical", message, self.clock.now())

    async def _once(self) -> None:
        now = self.clock.monotonic()
        self._watch(now)
        if self.settings.mode == "on":
            await self._look_at_ours(now)
            await self._release(now)
        new = {node_id: s for node_id, s in self._suspects.items() if self._is_new(node_id, s)}
        ripe = [node_id for node_id, suspect in new.items() if now - suspect.since >= SETTLE]
        self._judge(len(new), bool(ripe), now)
        if self.breaker.is_open:
            return
        for node_id in ripe:
            record, node = self.registry.nodes.get(node_id), self.registry.kube_nodes.get(node_id)
            if record is not None and node is not None:
                await self._treat(record, node.name, new[node_id])

    def _is_new(self, node_id: str, suspect: _Suspect) -> bool:
        node = self.registry.kube_nodes.get(node_id)
        if node is None:
            return False
        # One that somebody else cordoned is not ours to mark, and not ours to end.
        return not (suspect.declined or node.unschedulable or node.name in (self._ours or {}))

    def _watch(self, now: float) -> None:
        """Bring into line who has broken hardware, and since when; and who is well."""
        seen: set[str] = set()
        for node_id in self.registry.kube_nodes:
            record = self.registry.nodes.get(node_id)
            if record is None or not record.live.fresh:
                self._clean_since.pop(node_id, None)
                if node_id in self._suspects:
                    seen.add(node_id)  # silent: nobody knows, and nothing changes
                continue
            faults = () if record.live.maintenance else hardware_faults(record.facts)
            if faults:
                seen.add(node_id)
                self._suspect(node_id, faults, now)
            if _is_well(record):
                self._clean_since.setdefault(node_id, now)
            else:
                self._clean_since.pop(node_id, None)
        for node_id in self._suspects.keys() - seen:
            del self._suspects[node_id]

    def _suspect(self, node_id: str, faults: tuple[str, ...], now: float) -> None:
        known = self._suspects.get(node_id)
        if known is None:
            self._suspects[node_id] = _Suspect(now, faults)
        elif not set(faults) <= set(known.faults):
            self._suspects[node_id] = _Suspect(known.since, faults)

    def _judge(self, new: int, ripe: bool, now: float) -> None:  # noqa: FBT001
        ours, nodes = len(self._ours or {}), len(self.registry.kube_nodes)
        limit = cordoning.limit_of(nodes, self.settings.max_ratio)
        # With nothing new to cordon, what is cordoned already opens nothing.
        wanted = ours + new if new else 0
        moved = self.breaker.judge(wanted=wanted, limit=limit, ripe=ripe, now=now)
        self.metrics.cordoned.set(ours)
        self.metrics.breaker.set(self.breaker.is_open)
        if moved == "opened":
            message = (
                f"{new:,} more Nodes have broken hardware; {ours:,} are cordoned and {limit:,} of "
                f"{nodes:,} may be: none is cordoned"
            )
            self.teller.tell("CordonBreakerOpen", message, kind="Warning")
            _log.error("cordon_breaker_open", message=message)
        elif moved == "closed":
            self.teller.tell("CordonBreakerClosed", "few enough Nodes have broken hardware again")
            _log.info("cordon_breaker_closed")

    async def _treat(self, record: NodeRecord, name: str, suspect: _Suspect) -> None:
        if self.settings.mode == "dry-run":
            if not suspect.told:
                suspect.told = True
                message = f"would cordon the Node: {'; '.join(suspect.faults)}"
                self.teller.tell("WouldCordon", message, kind="Warning", record=record)
                self.metrics.cordons.labels(action="would-cordon").inc()
                _log.info("would_cordon", node=record.node_id, faults=suspect.faults)
            return
        node = await self.api.get_node(name)
        if node is None or cordoning.is_cordoned(node):
            return
        if set(suspect.faults) <= cordoning.faults_in(node, cordoning.DECLINED):
            suspect.declined = True
            self._declined.add(name)
            return
        patch = cordoning.cordoning(node, suspect.faults, _gpus(record), self.taint)
        changed = await self._change(name, patch)
        if changed is not None and self._ours is not None:
            self._ours[name] = changed
            self._say("Cordoned", f"cordoned the Node: {'; '.join(suspect.faults)}", record)

    async def _look_at_ours(self, now: float) -> None:
        if self._ours is None or now - self._listed_at >= LISTING or self._freed():
            listed = await self.api.list_nodes(label_selector=cordoning.LABEL)
            self._listed_at = now
            named = {node["metadata"]["name"]: node for node in listed}
            self._ours = {name: node for name, node in named.items() if cordoning.is_ours(node)}
            self._declined = named.keys() - self._ours.keys()
        for name, node in list(self._ours.items()):
            if not cordoning.is_cordoned(node):
                await self._decline(name, node)

    def _freed(self) -> bool:
        """Say whether a Node that was cordoned here is told to be free."""
        return any(
            node.name in (self._ours or {}) and not node.unschedulable
            for node in self.registry.kube_nodes.values()
        )

    async def _decline(self, name: str, node: dict[str, Any]) -> None:
        """Take a person's word: what is free again is not cordoned for the same."""
        if await self._change(name, cordoning.declining(node, self.taint)) is None:
            return
        del (self._ours or {})[name]
        self._declined.add(name)
        record = self._record_of(name)
        if record is not None:
            if suspect := self._suspects.get(record.node_id):
                suspect.declined = set(suspect.faults) <= cordoning.faults_in(
                    node, cordoning.FAULTS
                )
            self._say("CordonDeclined", "somebody uncordoned the Node: it stays free", record)

    async def _release(self, now: float) -> None:
        """Take back what is ours from Nodes that are well: the cordon, or a person's refusal."""
        for name in [*(self._ours or {}), *self._declined]:
            record = self._record_of(name)
            since = self._clean_since.get(record.node_id) if record else None
            if record is None or since is None or now - since < CLEAN:
                continue
            node = await self.api.get_node(name)
            if node is None or _gpus(record) < cordoning.gpus_in(node):
                continue
            if not cordoning.is_ours(node):
                await self._change(name, cordoning.forgetting(node))
                self._declined.discard(name)
            elif await self._change(name, cordoning.uncordoning(node, self.taint)) is not None:
                (self._ours or {}).pop(name, None)
                self._say("Uncordoned", "uncordoned the Node: its hardware is well", record)

    async def _change(self, name: str, patch: dict[str, Any]) -> dict[str, Any] | None:
        """Patch a Node; None if it is to be looked at anew: changed by another, or refused."""
        if not self.leads():
            return None
        try:
            return await self.api.patch_node(name, patch)
        except KubeError as error:
            if error.status == CONFLICT:
                self._listed_at = -LISTING
                return None
            if error.status not in REFUSALS or self._refused >= REFUSED_MAX:
                raise
            self._refused += 1
            self._failed(error)
            return None

    def _failed(self, error: KubeError) -> None:
        self._trouble.failed(error=str(error))
        self.metrics.cordons.labels(action="failed").inc()

    def _say(self, reason: str, message: str, record: NodeRecord) -> None:
        kind: Kind = "Warning" if reason == "Cordoned" else "Normal"
        self.teller.tell(reason, message, kind=kind, record=record)
        self.metrics.cordons.labels(action=_ACTIONS[reason]).inc()
        self.metrics.cordoned.set(len(self._ours or {}))
        _log.info(reason.lower(), node=record.node_id, message=message)

    def _record_of(self, name: str) -> NodeRecord | None:
        for node_id, node in self.registry.kube_nodes.items():
            if node.name == name:
                return self.registry.nodes.get(node_id)
        return None

    def _forget(self) -> None:
        self._ours = None
        self._suspects.clear()
        self._clean_since.clear()
        self._declined.clear()
        self.breaker.reset()
        self.metrics.breaker.set(0)


def _is_well(record: NodeRecord) -> bool:
    """Say whether nothing at all is known to be wrong with a node, its GPUs included."""
    gpus = record.facts.gpus if record.facts else None
    healthy = bool(gpus) and all(gpu.health == "ok" for gpu in gpus or ())
    return record.live.state is NodeState.ONLINE and healthy


def _gpus(record: NodeRecord) -> int:
    return len(record.facts.gpus or ()) if record.facts else 0

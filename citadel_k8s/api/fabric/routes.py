"""The routes of the fabric: nodes, models, events, and what is asked of nodes."""

from citadel_k8s.aio.clock import Clock
from citadel_k8s.api.fabric.configuring import Configuring
from citadel_k8s.api.fabric.lastword import LastWord, Statuses
from citadel_k8s.api.fabric.listing import NodeList
from citadel_k8s.api.fabric.onenode import Goodbyes, OneNode
from citadel_k8s.api.fabric.pastlists import AuditLog, PastLists
from citadel_k8s.api.fabric.peers import Discovery
from citadel_k8s.api.fabric.positions import Position, nowhere
from citadel_k8s.api.fabric.queries import (
    AuditQuery,
    AuditView,
    ConfigView,
    DiscoverQuery,
    Document,
    EventsQuery,
    HistoryQuery,
    HistoryView,
    ModelsQuery,
    NodesQuery,
    Peers,
    SummaryView,
)
from citadel_k8s.api.fabric.sending import OrgSender
from citadel_k8s.api.fabric.served import ServedModels
from citadel_k8s.api.fabric.shelf import HOLD_SECONDS, Shelf
from citadel_k8s.api.fabric.summing import Summary
from citadel_k8s.api.fabric.trends import Trends, TrendsQuery, TrendsView
from citadel_k8s.api.frame.route import ANYONE, Access, Route, person
from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.domain.life import Policy
from citadel_k8s.models.identity import Role
from citadel_k8s.models.views import FleetEvent, ModelView, NodeDetail, NodeSummary
from citadel_k8s.stores.postgres.configs import Configs
from citadel_k8s.stores.postgres.database import Database
from citadel_k8s.stores.postgres.fleet import Fleet
from citadel_k8s.stores.postgres.past import Past

_NODE = "/api/fabric/nodes/{node_id}"
_TAG = "fabric"


def routes(
    database: Database,
    *,
    statuses: Statuses | None,
    sender: OrgSender | None,
    audit: AuditLog,
    policy: Policy,
    clock: Clock,
    goodbyes: Goodbyes | None = None,
    position: Position = nowhere,
    hold: float = HOLD_SECONDS,
) -> list[Route]:
    """Give the routes.

    Parameters
    ----------
    database : Database
        Where nodes are.
    statuses : Statuses or None
        Where their last statuses are whole.
    sender : OrgSender or None
        Tells nodes their configuration; without it none can be changed.
    audit : AuditLog
        Who did what.
    policy : Policy
        How long silence is borne.
    clock : Clock
        The process' clock.
    goodbyes : Goodbyes or None
        Tells an org's listeners that a node was given up.
    position : callable
        Where an org's stream of changes stands.
    hold : float
        Seconds for which the list is given to everybody as it was read.
    """
    fleet, past = Fleet(database), Past(database)
    shelf = Shelf(fleet, policy, clock, hold=hold, position=position)
    words = LastWord(fleet, statuses, policy)
    one = OneNode(words, fleet, past, shelf, clock, goodbyes=goodbyes)
    configuring = Configuring(words, Configs(database), sender, clock)
    lists = PastLists(past, audit)
    looking, changing = person(), person(Role.EDITOR)
    return [
        Route(
            "GET",
            "/api/fabric/nodes",
            NodeList(shelf),
            "List nodes, those that need attention first.",
            ANYONE,
            _TAG,
            query=NodesQuery,
            answers={200: list[NodeSummary]},
            name="listNodes",
            log_every=20,
        ),
        Route(
            "GET",
            "/api/fabric/summary",
            Summary(shelf),
            "Count nodes, GPUs, memory and models.",
            looking,
            _TAG,
            answers={200: SummaryView},
            name="getSummary",
            log_every=20,
        ),
        Route(
            "GET",
            "/api/fabric/models",
            ServedModels(shelf, fleet, clock),
            "List models and the nodes that serve them now.",
            ANYONE,
            _TAG,
            query=ModelsQuery,
            answers={200: list[ModelView]},
            name="listModels",
        ),
        Route(
            "GET",
            "/api/fabric/trends",
            Trends(past, clock),
            "Tell how busy some nodes were in the last half hour.",
            looking,
            _TAG,
            query=TrendsQuery,
            answers={200: TrendsView},
            name="getTrends",
        ),
        Route(
            "GET",
            "/api/fabric/discover/nodes",
            Discovery(shelf, fleet, clock),
            "List the nodes of the caller's org, in the shape that nodes know.",
            Access(device=True, role=Role.VIEWER),
            _TAG,
            query=DiscoverQuery,
            answers={200: Peers},
            name="discoverNodes",
        ),
        Route(
            "GET",
            "/api/fabric/events/list",
            lists.events,
            "List what happened, the latest first.",
            looking,
            _TAG,
            query=EventsQuery,
            answers={200: list[FleetEvent]},
            name="listEvents",
        ),
        Route(
            "GET",
            "/api/fabric/audit",
            lists.audit,
            "List who did what, the latest first.",
            person(Role.ADMIN),
            _TAG,
            query=AuditQuery,
            answers={200: list[AuditView]},
            name="listAudit",
        ),
        *_of_one_node(one, configuring, looking, changing),
    ]


def _of_one_node(
    one: OneNode, configuring: Configuring, looking: Access, changing: Access
) -> list[Route]:
    return [
        Route(
            "GET",
            _NODE,
            one.get,
            "Tell a node's row and the last status that it sent.",
            looking,
            _TAG,
            answers={200: NodeDetail},
            name="getNode",
        ),
        Route(
            "DELETE",
            _NODE,
            one.decommission,
            "Give a node up.",
            changing,
            _TAG,
            answers={204: None},
            audit="node.decommission",
            name="decommissionNode",
        ),
        Route(
            "GET",
            f"{_NODE}/history",
            one.history,
            "Tell how a node fared, in buckets.",
            looking,
            _TAG,
            query=HistoryQuery,
            answers={200: HistoryView},
            name="getNodeHistory",
        ),
        Route(
            "GET",
            f"{_NODE}/config",
            configuring.get,
            "Tell what is asked of a node, and what it says it has.",
            looking,
            _TAG,
            answers={200: ConfigView},
            name="getNodeConfig",
        ),
        Route(
            "PUT",
            f"{_NODE}/config",
            configuring.put,
            "Ask a node for another configuration.",
            changing,
            _TAG,
            body=Document,
            answers={200: ConfigView},
            body_max=MAX_ENTRY_BYTES,
            audit="node.config",
            name="putNodeConfig",
        ),
    ]

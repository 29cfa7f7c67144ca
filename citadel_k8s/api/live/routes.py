"""The route of live questions, and what stands behind it."""

import ssl
from collections.abc import Collection
from typing import Any, Final

from citadel_k8s.api.fabric.lastword import LastWord
from citadel_k8s.api.frame.route import Route, person
from citadel_k8s.api.live.asking import NodeClient, TokenSource
from citadel_k8s.api.live.failure import Step
from citadel_k8s.api.live.fence import Fence
from citadel_k8s.api.live.live import Live, LiveChannel
from citadel_k8s.api.live.places import Neighbours, Places, Resolver, SystemResolver
from citadel_k8s.api.live.turns import ALL_AT_ONCE
from citadel_k8s.clients.post import DeliveryError
from citadel_k8s.clients.secretfile import SecretFile
from citadel_k8s.config.server import Live as LiveSettings
from citadel_k8s.errors import ConfigError
from citadel_k8s.models.views import NodeSummary, View
from citadel_k8s.telemetry.log import get_logger

COST: Final = 5.0
"""Requests that a question counts for: each makes this process dial."""

DEADLINE_SLACK: Final = 12.0
"""Seconds on top of a question's own: for the database, and for a turn that was called off."""

log = get_logger("api.live")


class LiveView(View):
    """A node's own word (``live``), or its last one with the step at which the question ended."""

    node: NodeSummary
    live: bool
    seconds: float
    address: str | None = None
    fresh: bool | None = None
    complete: bool
    age: float | None = None
    step: Step | None = None
    message: str | None = None
    status: dict[str, Any] | None = None


def client(settings: LiveSettings) -> NodeClient:
    """Give who asks nodes.

    Raises
    ------
    ConfigError
        If the authorities' file cannot be read.
    """
    return NodeClient(ALL_AT_ONCE, tls=_context(settings), token=_token(settings))


def routes(
    settings: LiveSettings,
    words: LastWord,
    neighbours: Neighbours,
    asker: NodeClient,
    *,
    channel: LiveChannel | None = None,
    resolver: Resolver | None = None,
    closed_ports: Collection[int] = (),
) -> list[Route]:
    """Give the route.

    Parameters
    ----------
    settings : Live
        What may be asked, and for how long.
    words : LastWord
        Finds nodes, and what they said last.
    neighbours : Neighbours
        Knows the addresses of other orgs' nodes.
    asker : NodeClient
        Asks nodes; its user closes it.
    channel : LiveChannel or None
        Asks nodes over the WebSocket that they hold.
    resolver : Resolver or None
        Looks up names; the system's if None.
    closed_ports : collection of int
        Ports at which nobody is asked, besides those that are never an agent's.
    """
    places = Places(
        Fence(settings.allowed_cidrs),
        resolver or SystemResolver(),
        neighbours,
        closed=closed_ports,
    )
    live = Live(
        words,
        places,
        asker,
        channel=channel,
        enabled=settings.enabled,
        deadline=settings.deadline_seconds,
    )
    return [
        Route(
            "GET",
            "/api/fabric/nodes/{node_id}/live",
            live,
            "Ask a node for its status now.",
            person(),
            "fabric",
            answers={200: LiveView},
            cost=COST,
            deadline=settings.deadline_seconds + DEADLINE_SLACK,
            name="askNode",
        )
    ]


def _context(settings: LiveSettings) -> ssl.SSLContext | None:
    if settings.ca_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"live.caFile {settings.ca_file}: {error}") from error
    # An authority for agents alone: they are found by address, and prove who they are by their id.
    context.check_hostname = False
    return context


def _token(settings: LiveSettings) -> TokenSource | None:
    if settings.token_file is None:
        return None
    file = SecretFile(settings.token_file)

    async def read() -> str | None:
        try:
            token = await file.read()
        except DeliveryError as error:
            log.warning("live_token_not_read", error=str(error))
            return None
        return token if token.isascii() and token.isprintable() else None

    return read

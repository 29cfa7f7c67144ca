"""The routes of the streams."""

from typing import Final

from pydantic import BaseModel

from citadel_k8s.api.events.hub import Hub
from citadel_k8s.api.events.queries import EventsQuery, asked
from citadel_k8s.api.events.sse import EventSink
from citadel_k8s.api.events.stream import Asked
from citadel_k8s.api.events.websocket import (
    SUBSCRIBE_SECONDS,
    Dialogue,
    SocketSink,
    check_origin,
)
from citadel_k8s.api.frame.route import ANYONE, Answer, Call, Handler, Route

EVENTS_PATH: Final = "/api/fabric/events"
"""Server-sent events."""

SOCKET_PATH: Final = "/api/fabric/ws"
"""The same over a WebSocket."""


def routes(
    hub: Hub, *, public_url: str | None = None, patience: float = SUBSCRIBE_SECONDS
) -> list[Route]:
    """Give the routes.

    Parameters
    ----------
    hub : Hub
        Its `run` runs beside the server.
    public_url : str or None
        How browsers reach this API; None: as each request says.
    patience : float
        Seconds that a WebSocket's client has to subscribe.
    """

    async def events(call: Call) -> Answer:
        sink = EventSink(call.request)
        wanted = asked(call.asked(EventsQuery), call.request)
        with hub.stream(call.who, sink, wanted, stopping=call.stopping.is_set) as stream:
            try:
                await sink.open()
                await stream.run()
            except ConnectionError:
                pass  # it left while it was answered
        return sink.response

    async def socket(call: Call) -> Answer:
        sink = SocketSink(call.request)
        sink.check()
        check_origin(call.request, call.who, public_url)
        with hub.stream(call.who, sink, Asked(), stopping=call.stopping.is_set) as stream:
            try:
                await sink.open()
                await Dialogue(sink, stream, patience=patience).run()
            except* ConnectionError:
                pass
        return sink.socket

    return [
        _stream(EVENTS_PATH, events, "Follow an org's nodes as server-sent events", EventsQuery),
        _stream(SOCKET_PATH, socket, "Follow an org's nodes over a WebSocket", status=101),
    ]


def _stream(
    path: str,
    handler: Handler,
    summary: str,
    query: type[BaseModel] | None = None,
    status: int = 200,
) -> Route:
    return Route(
        "GET",
        path,
        handler,
        summary,
        ANYONE,
        "streams",
        query=query,
        answers={status: None},
        deadline=None,
        body_max=0,
    )

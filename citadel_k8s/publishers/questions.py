"""Answers who asks for this node's status over the proxy's WebSocket.

A control plane far away has no route to the node; but the node holds a socket that leads there.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.publishers.websocket import Object, ProxySocket, SocketDownError

QUESTION: Final = "live"
"""Type of the frame that asks."""

ANSWER: Final = "live_answer"
"""Type of the frame that answers."""

WAITING_MAX: Final = 16
"""Questions that wait for their answer; the oldest gives way, for whoever asked it waits least."""

NUMBER_MAX: Final = 64
"""Characters of a question's id."""


class Questions:
    """Takes questions and answers them one by one.

    Parameters
    ----------
    socket : ProxySocket
        Where they come from.
    status : callable
        Gives the node's status as JSON text; must not wait.
    """

    def __init__(self, socket: ProxySocket, status: Callable[[], bytes]) -> None:
        self._socket, self._status = socket, status
        self._numbers: deque[str] = deque(maxlen=WAITING_MAX)
        self._some = asyncio.Event()
        socket.on_type(QUESTION, self._asked)

    async def run(self) -> NoReturn:
        """Answer for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._numbers:
                frame = self._answer(self._numbers.popleft())
                with suppress(SocketDownError):  # whoever asked has a deadline
                    await self._socket.send(frame)

    def _asked(self, document: Object) -> None:
        number = document.get("id")
        if isinstance(number, str) and 0 < len(number) <= NUMBER_MAX:
            self._numbers.append(number)
            self._some.set()

    def _answer(self, number: str) -> str:
        head = f'{{"type":"{ANSWER}","id":{json.dumps(number)}'
        try:
            status = self._status()
        except Exception as error:  # noqa: BLE001 - a question must not end the agent
            return f'{head},"ok":false,"error":{json.dumps(type(error).__name__)}}}'
        if len(status) > MAX_ENTRY_BYTES:
            return f'{head},"ok":false,"error":"the status is over {MAX_ENTRY_BYTES} bytes"}}'
        # Spliced, not parsed and written again: the status is JSON already.
        return f'{head},"ok":true,"status":{status.decode()}}}'

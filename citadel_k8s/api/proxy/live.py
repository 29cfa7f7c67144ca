"""Asks a node for its status over the WebSocket that it holds, on whichever replica that is.

A control plane with no route to a node cannot dial it; but the node has dialled the proxy. The
replica that has its socket listens to a channel of the node's; who asks says so there, and hears
the answer on a channel of its own. Go nodes ignore the frame, and the question runs into its
deadline.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import pydantic_core

from citadel_k8s.errors import StreamError
from citadel_k8s.stores.appending import Appender
from citadel_k8s.stores.ears import Ears, Heard

QUESTIONS_MAX: Final = 16
"""Questions that one socket may have open: whoever asks joins a question under way."""

DEADLINE_MAX_MS: Final = 30_000
"""Longest that a question is open, in milliseconds. Source: the API's longest live deadline."""


def question_channel(org_id: str, node_id: str) -> str:
    """Give the channel on which a node is asked; no client's name reaches it."""
    return f"fabric:live:{org_id}:{node_id}"


def answer_channel(replica: str) -> str:
    """Give the channel on which a replica hears answers."""
    return f"fabric:answers:{replica}"


class LiveChannel:
    """Asks nodes, and hands on what they are asked.

    Parameters
    ----------
    appender : Appender
        Speaks on channels.
    ears : Ears
        Listens to them.
    """

    def __init__(self, appender: Appender, ears: Ears) -> None:
        self._appender, self._ears = appender, ears
        self._replica = secrets.token_hex(8)
        self._asked: dict[str, asyncio.Future[bytes | None]] = {}
        ears.listen(answer_channel(self._replica), self._answered)

    async def ask(self, org_id: str, node_id: str, deadline: float) -> bytes | None:
        """Ask a node for its status.

        Parameters
        ----------
        deadline : float
            Moment of the loop's clock, in seconds, at which nobody waits any more.

        Returns
        -------
        bytes or None
            The status as JSON text; None if no socket of the node is open, or it did not answer.
        """
        loop = asyncio.get_running_loop()
        left = deadline - loop.time()
        if left <= 0:
            return None
        number = secrets.token_hex(12)
        asked = {"id": number, "reply": self._replica, "deadline_ms": round(left * 1000)}
        self._asked[number] = answer = loop.create_future()
        try:
            async with asyncio.timeout_at(deadline):
                channel = question_channel(org_id, node_id)
                heard = await self._appender.publish(channel, json.dumps(asked).encode())
                return await answer if heard else None
        except (TimeoutError, StreamError):
            return None
        finally:
            del self._asked[number]

    def attach(self, org_id: str, node_id: str, send: Callable[[bytes], None]) -> "LiveSocket":
        """Hand what a node is asked to the socket that it holds."""
        return LiveSocket(self._appender, self._ears, question_channel(org_id, node_id), send)

    def _answered(self, data: bytes) -> None:
        head, _, status = data.partition(b"\n")
        answer = self._asked.get(head.decode(errors="replace"))
        if answer is not None and not answer.done():
            answer.set_result(status or None)


@dataclass(frozen=True, slots=True)
class _Question:
    reply: str
    until: float


class LiveSocket:
    """One socket's part: the questions that it was asked and has not answered."""

    def __init__(
        self, appender: Appender, ears: Ears, channel: str, send: Callable[[bytes], None]
    ) -> None:
        self._appender, self._ears, self._channel, self._send = appender, ears, channel, send
        self._open: dict[str, _Question] = {}
        self._heard: Heard = self._ask
        ears.listen(channel, self._heard)

    def close(self) -> None:
        """Ask no more."""
        self._ears.forget(self._channel, self._heard)

    async def answer(self, frame: dict[str, Any]) -> None:
        """Hand an answer to whoever asked; one that nobody asked for is dropped."""
        question = self._open.pop(str(frame.get("id")), None)
        if question is None:
            return
        status: Any = frame.get("status") if frame.get("ok") is True else None
        body = pydantic_core.to_json(status) if isinstance(status, dict) else b""
        data = str(frame["id"]).encode() + b"\n" + body
        await self._appender.publish(answer_channel(question.reply), data)

    def _ask(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._open = {n: q for n, q in self._open.items() if q.until > now}
        try:
            asked = cast("dict[str, Any]", json.loads(data))
            number, reply = str(asked["id"]), str(asked["reply"])
            left = min(DEADLINE_MAX_MS, max(1, int(asked["deadline_ms"])))
        except (ValueError, TypeError, KeyError):
            return
        if len(self._open) >= QUESTIONS_MAX:
            return
        self._open[number] = _Question(reply, now + left / 1000)
        self._send(pydantic_core.to_json({"type": "live", "id": number, "deadline_ms": left}))

"""When the node speaks: on its grid whatever happens, and at once when something happened."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from citadel_k8s.agent.board import Board
from citadel_k8s.aio.outbox import Outbox
from citadel_k8s.aio.periodic import Ticker
from citadel_k8s.domain.keys import heartbeat_phase
from citadel_k8s.domain.snapshot import Change
from citadel_k8s.models.wire import Goodbye, StatusMessage

FIRST_WAIT: Final = 5.0
"""Seconds that the first heartbeat waits for the first answers; then it says what is known."""

COALESCE_SECONDS: Final = 1.0
"""Least seconds between two heartbeats outside the grid: what happens together is told together."""

CONFIRM_SECONDS: Final = 5.0
"""Seconds after which a change that one slow answer can feign is looked at and told again."""

GOODBYE_TIMEOUT: Final = 2.0
"""Seconds that the last word may take; a pod is given 30 s, its readers less."""


class Heartbeat:
    """Puts messages into the outbox; never waits for a source or for the way out.

    Parameters
    ----------
    board : Board
        What is known.
    outbox : Outbox
        The way out.
    look_again : callable
        Reads the source of soft changes once more, before one is confirmed.
    """

    def __init__(
        self,
        board: Board,
        outbox: Outbox[StatusMessage],
        look_again: Callable[[], Awaitable[None]],
    ) -> None:
        self._ticker = _ticker_of(board)
        self._board = board
        self._outbox = outbox
        self._look_again = look_again
        self._urgent = asyncio.Event()
        self._soft = asyncio.Event()
        self._not_before = 0.0
        self._pending: asyncio.TimerHandle | None = None
        self.seq = 0
        board.on_change(self._changed)

    async def run(self) -> None:
        """Beat after the first answers, then on the grid and at changes, for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WAIT):
                await self._board.complete.wait()
        self._beat()
        while True:
            await self._ticker.wait(early=self._urgent)
            self._beat()

    async def confirm(self) -> None:
        """Tell soft changes again after a second look, for ever."""
        while True:
            await self._soft.wait()
            await asyncio.sleep(CONFIRM_SECONDS)
            self._soft.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_SECONDS):
                    await self._look_again()
            self._speak_soon()

    def retime(self) -> None:
        """Beat now, and from then on at the interval that the speaker tells."""
        self._ticker = _ticker_of(self._board)
        self._speak_soon()

    def goodbye(self) -> StatusMessage:
        """Give the last word. The agent knows that it ends, not why."""
        self.seq += 1
        return self._board.message(seq=self.seq, goodbye=Goodbye(reason="terminating"))

    def _beat(self) -> None:
        self._urgent.clear()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._not_before = asyncio.get_running_loop().time() + COALESCE_SECONDS
        self.seq += 1
        self._outbox.put(self._board.message(seq=self.seq))
        self._board.told()

    def _changed(self, change: Change) -> None:
        self._speak_soon()
        if change is Change.SOFT:
            self._soft.set()

    def _speak_soon(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._not_before:
            self._urgent.set()
        elif self._pending is None:
            # A timer instead of a sleep, so that the grid's own heartbeat is not held up.
            self._pending = loop.call_at(self._not_before, self._urgent.set)


def _ticker_of(board: Board) -> Ticker:
    speaker = board.speaker
    phase = heartbeat_phase(speaker.node_id, speaker.interval_seconds)
    return Ticker(speaker.interval_seconds, phase=phase)

"""Dead letters, for people: look at them, and have them taken in once what was wrong is mended.

They go into the worker's own way of taking entries in, with the ids that they had. They never go
back into the stream, where a dead node would seem to speak again.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.config.server import WorkerSettings
from citadel_k8s.stores.statusletters import Letter
from citadel_k8s.worker.connections import Connections
from citadel_k8s.worker.metrics import WorkerMetrics
from citadel_k8s.worker.wiring import make_writer

AT_ONCE: Final = 200
"""Letters taken in at once."""


class Replayed(NamedTuple):
    """What became of letters: taken in, still refused (and why), and not there."""

    taken: int
    refused: list[Letter]
    missing: list[str]


async def listed(settings: WorkerSettings, *, count: int = 100, after: str = "-") -> list[Letter]:
    """Give letters behind one's id, oldest first. StreamError if Redis is away."""
    connections = Connections.open(settings)
    try:
        return await connections.letters.list(count, after)
    finally:
        await connections.close()


async def shown(settings: WorkerSettings, letter_id: str) -> Letter | None:
    """Give one letter whole; None if there is none. StreamError if Redis is away."""
    connections = Connections.open(settings)
    try:
        return await connections.letters.get(letter_id)
    finally:
        await connections.close()


async def replay(settings: WorkerSettings, ids: Sequence[str] | Literal["all"]) -> Replayed:
    """Have letters taken in, and take those out that were.

    One that is older than what is known of its node by now is taken in and changes nothing.

    Parameters
    ----------
    settings : WorkerSettings
        Those of the worker.
    ids : sequence of str or "all"
        The letters' own ids.

    Raises
    ------
    StreamError, DatabaseError
        If a server is away; what was not taken in by then stays.
    """
    connections = Connections.open(settings)
    result = Replayed(0, [], [])
    try:
        if ids == "all":
            after = "-"
            while letters := await connections.letters.list(AT_ONCE, after):
                result = await _taken(settings, connections, letters, result)
                after = letters[-1].id
            return result
        wanted = list(dict.fromkeys(ids))
        found = {one: await connections.letters.get(one) for one in wanted}
        letters = [letter for letter in found.values() if letter is not None]
        result.missing.extend(one for one, letter in found.items() if letter is None)
        return await _taken(settings, connections, letters, result)
    finally:
        await connections.close()


async def _taken(
    settings: WorkerSettings,
    connections: Connections,
    letters: Sequence[Letter],
    result: Replayed,
) -> Replayed:
    writer = make_writer(settings, connections, SystemClock(), WorkerMetrics())
    await writer.looker.look()
    taken = result.taken
    ordered = sorted(letters, key=lambda letter: (letter.epoch, letter.entry.id))
    for epoch, same in groupby(ordered, key=lambda letter: letter.epoch):
        group = list(same)
        outcome = await writer.take(
            [letter.entry for letter in group], again=True, epoch=epoch, bury=False
        )
        why = {refused.entry.id: refused for refused in outcome.letters}
        result.refused.extend(why[one.entry.id] for one in group if one.entry.id in why)
        done = [letter.id for letter in group if letter.entry.id not in why]
        taken += await connections.letters.take(done)
    return result._replace(taken=taken)

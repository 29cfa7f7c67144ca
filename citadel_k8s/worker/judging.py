"""What entries mean: decoded, and given to the org whose they are; or why they mean nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from citadel_k8s.domain.ingest import Word, word_of
from citadel_k8s.domain.position import Position
from citadel_k8s.errors import WireError
from citadel_k8s.models.lean import LeanMessage, decode_lean
from citadel_k8s.stores.entries import Entry
from citadel_k8s.stores.statusletters import Letter
from citadel_k8s.telemetry.log import RepeatLog, get_logger
from citadel_k8s.worker.tenancy import Asked, Tenancy

_log = get_logger("worker")

AT_ONCE: Final = 32
"""Messages read in one go, 6 ms of work; in between, others have their turn."""


class Sorted(NamedTuple):
    """Entries with what they say, and those that say nothing that can be kept."""

    words: list[tuple[Entry, Word]]
    letters: list[Letter]


@dataclass(slots=True)
class Judge:
    """Reads entries.

    Parameters
    ----------
    tenancy : Tenancy
        Whose nodes are.
    unforeseen : RepeatLog or None
        Where a message is told of that nobody foresaw.
    """

    tenancy: Tenancy
    unforeseen: RepeatLog | None = None

    async def sort(self, entries: Sequence[Entry], epoch: int) -> Sorted:
        """Read entries of an epoch of the stream.

        Raises
        ------
        DatabaseError
            If it cannot be asked whose nodes they are.
        """
        found = Sorted([], [])
        said = await self._decoded(entries, epoch, found.letters)
        owners = await self.tenancy.of({asked for _, _, asked in said})
        for number, (entry, message, asked) in enumerate(said):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            org_id = owners[asked]
            if org_id is None:
                found.letters.append(_homeless(entry, epoch, asked))
                continue
            try:
                position = Position(epoch, entry.id.ms, entry.id.seq)
                word = word_of(org_id, message, position, entry.payload)
            except Exception as error:  # noqa: BLE001 - one message must not hold up all others
                found.letters.append(self._surprised(entry, epoch, error))
            else:
                found.words.append((entry, word))
        return found

    async def _decoded(
        self, entries: Sequence[Entry], epoch: int, letters: list[Letter]
    ) -> list[tuple[Entry, LeanMessage, Asked]]:
        said: list[tuple[Entry, LeanMessage, Asked]] = []
        for number, entry in enumerate(entries):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            try:
                message = decode_lean(entry.payload, node_id=entry.node_id)
                said.append((entry, message, _asked(entry, message)))
            except WireError as error:
                letters.append(Letter(entry, epoch, error.reason, str(error)))
            except Exception as error:  # noqa: BLE001 - one message must not hold up all others
                letters.append(self._surprised(entry, epoch, error))
        return said

    def _surprised(self, entry: Entry, epoch: int, error: Exception) -> Letter:
        log = self.unforeseen = self.unforeseen or RepeatLog(_log, "message_unforeseen")
        log.failed(entry=str(entry.id), node=entry.node_id, exc_info=error)
        return Letter(entry, epoch, "Unforeseen", repr(error))


def _asked(entry: Entry, message: LeanMessage) -> Asked:
    node_id = message["node_id"]
    if entry.node_id and entry.node_id != node_id:
        detail = f"the entry says {entry.node_id[:80]!r}, its message {node_id!r}"
        raise WireError("NodeMismatch", "nodeId", detail)
    headscale = cast("dict[str, Any]", message).get("headscale_node_id")
    return Asked(entry.org_id, node_id, headscale or None)


def _homeless(entry: Entry, epoch: int, asked: Asked) -> Letter:
    if asked.stamped is not None:
        detail = f"there is no enabled org {asked.stamped[:128]!r}"
        return Letter(entry, epoch, "UnknownOrg", detail)
    detail = f"no enabled org alone has a node {asked.node_id!r}, and orgId is not set"
    return Letter(entry, epoch, "UnknownNode", detail)

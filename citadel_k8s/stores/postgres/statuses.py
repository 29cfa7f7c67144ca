"""The last word of each node: `fabric_node_status`, hot and narrow, and `fabric_node_detail`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from citadel_k8s.domain.freshness import StatusRow
from citadel_k8s.domain.happenings import Happening, changed
from citadel_k8s.domain.ingest import Course, Word, happenings_of, shown_reason
from citadel_k8s.domain.life import Policy
from citadel_k8s.domain.liveness import FORMER_BOOTS_MAX
from citadel_k8s.domain.position import RETURN_AFTER
from citadel_k8s.domain.pulse import compact
from citadel_k8s.errors import CitadelError, DatabaseError
from citadel_k8s.models.fabricnode import NodeState
from citadel_k8s.stores.postgres import statuswriting as sql
from citadel_k8s.stores.postgres.database import Connection, Database, first_line
from citadel_k8s.stores.postgres.events import Kept, keep, recall
from citadel_k8s.stores.postgres.ingests import PARTITION

STATUS_COLUMNS: Final = (
    "s.org_id, s.node_id, s.verdict, s.reason, s.message, s.stream_epoch, s.stream_ms,"
    " s.interval_seconds, s.draining_until_ms, s.state, s.state_reason, s.state_since,"
    " n.decommissioned_at IS NOT NULL AS decommissioned"
)
"""What `status_row` needs of ``fabric_node_status s JOIN nodes n USING (org_id, node_id)``; further
columns beside them do not disturb it."""

TOO_COMPLEX: Final = "54"
"""Class of the errors of values that are too large or too deep. Source: PostgreSQL's manual."""

Key = tuple[str, str]
"""Org and node."""


class RowsRefusedError(CitadelError):
    """A value of the batch cannot be stored, whoever tries and however often."""


class EpochMovedError(CitadelError):
    """The stream began anew, and somebody else noticed first."""


@dataclass(frozen=True, slots=True)
class Won:
    """A message that became its node's row. ``slow``: what changes seldom did."""

    word: Word
    state: NodeState
    reason: str
    since: datetime
    before: NodeState | None
    slow: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch; ``unknown`` are nodes that are in no table."""

    won: list[Won]
    events: list[Kept]
    unknown: frozenset[Key]


def status_row(row: Mapping[str, Any]) -> StatusRow:
    """Give what a node's state depends on, from a row with `STATUS_COLUMNS`."""
    return StatusRow(
        org_id=row["org_id"],
        node_id=row["node_id"],
        verdict=NodeState(row["verdict"]),
        reason=row["reason"],
        message=row["message"],
        stream_epoch=row["stream_epoch"],
        stream_ms=row["stream_ms"],
        interval_seconds=row["interval_seconds"],
        draining_until_ms=row["draining_until_ms"],
        state=NodeState(row["state"]),
        state_reason=row["state_reason"],
        state_since=row["state_since"],
        decommissioned=row["decommissioned"],
    )


class Statuses:
    """Writes the rows of nodes.

    Parameters
    ----------
    database : Database
        Where they are.
    policy : Policy
        Of nodes that name no interval.
    partition : int
        The partition of the stream.
    """

    def __init__(self, database: Database, policy: Policy, partition: int = PARTITION) -> None:
        self._database = database
        self._policy = policy
        self._partition = partition

    async def write(
        self,
        courses: Sequence[Course],
        *,
        adopt: Collection[Key] = (),
        epoch: int,
        again: bool = False,
    ) -> Written:
        """Write the newest message of each node, and what all of them tell of, or nothing.

        Parameters
        ----------
        courses : sequence of Course
            Sorted by node, each node once.
        adopt : collection of Key
            Nodes whose row is made if there is none.
        epoch : int
            The stream's present epoch, as the caller knows it.
        again : bool
            Whether events that are there already are given once more: whoever wrote them may not
            have told of them.

        Raises
        ------
        RowsRefusedError
            If a value cannot be stored.
        EpochMovedError
            If the epoch is another one by now.
        DatabaseError
            If the database is away.
        """
        try:
            async with self._database.transaction() as connection:
                return await self._write(connection, courses, sorted(adopt), epoch, again=again)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise RowsRefusedError(first_line(error)) from error
        except DatabaseError as error:
            cause = error.__cause__
            if isinstance(cause, psycopg.Error) and (cause.sqlstate or "")[:2] == TOO_COMPLEX:
                raise RowsRefusedError(first_line(cause)) from error
            raise

    async def _write(
        self,
        connection: Connection,
        courses: Sequence[Course],
        adopt: Sequence[Key],
        epoch: int,
        *,
        again: bool,
    ) -> Written:
        if adopt:
            await connection.execute(sql.ADOPT, _keys(adopt))
        given = {course.last.key: course for course in courses}
        cursor = await connection.execute(sql.WRITE, self._values(courses, epoch))
        rows = await cursor.fetchall()
        if not rows or not rows[0]["marked"]:
            raise EpochMovedError(f"the stream's epoch is not {epoch} any more")
        won, happened = _outcome(given, rows)
        lost = given.keys() - {one.word.key for one in won}
        unknown = await _absent(connection, lost) if lost else frozenset[Key]()
        await _write_details(connection, [one.word for one in won if one.slow])
        told = [course for key, course in given.items() if key not in unknown]
        happenings = [*happened, *happenings_of(told)]
        past = await recall(connection, [*happenings, *_told_before(won, given)]) if again else []
        return Written(won, [*past, *await keep(connection, happenings)], unknown)

    def _values(self, courses: Sequence[Course], epoch: int) -> dict[str, Any]:
        words = [course.last for course in courses]
        now = [word.position for word in words]
        top = max(word.position.place for course in courses for word in course.steps)
        of_stream = max(p.epoch for p in now) == epoch
        return {
            **_keys([word.key for word in words]),
            "boot": [p.boot_id for p in now],
            "seq": [p.seq for p in now],
            "former": [compact(word.former) if word.former else None for word in words],
            "ms": [p.ms for p in now],
            "number": [p.number for p in now],
            "interval": [word.interval for word in words],
            "verdict": [str(word.verdict.state) for word in words],
            "reason": [word.verdict.reason for word in words],
            "message": [word.verdict.message for word in words],
            "suspect": [word.verdict.suspect for word in words],
            "until": [word.verdict.draining_until_ms for word in words],
            "pulse": [compact(word.pulse) for word in words],
            "digest": [word.digest for word in words],
            "epoch": now[0].epoch,
            "now_epoch": epoch,
            "top_ms": top[0] if of_stream else 0,
            "top_seq": top[1] if of_stream else 0,
            "partition": self._partition,
            "boots": FORMER_BOOTS_MAX,
            "patience": RETURN_AFTER,
            "default": self._policy.interval,
            "missed": self._policy.missed,
            "skew": self._policy.skew,
        }


def _outcome(
    given: Mapping[Key, Course], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[Won], list[Happening]]:
    won: list[Won] = []
    happened: list[Happening] = []
    for row in rows:
        if row["org_id"] is None:
            continue  # nothing won; the row tells of the epoch alone
        course = given[row["org_id"], row["node_id"]]
        before = None if row["state_before"] is None else NodeState(row["state_before"])
        state = NodeState(row["state"])
        one = Won(course.last, state, row["state_reason"], row["state_since"], before, row["slow"])
        won.append(one)
        happened += _changes(course, one, row["before_ms"] or 0)
    return won, happened


def _changes(course: Course, won: Won, before_ms: int) -> list[Happening]:
    """Give the changes of state along a node's messages, from what the row said before."""
    found: list[Happening] = []
    state = won.before
    for word in course.steps:
        last = word is course.last
        if word.position.ms <= before_ms and not last:
            continue  # somebody took it in, or what came after it, before
        now = won.state if last else word.verdict.state
        reason = won.reason if last else shown_reason(word.verdict)
        if now is not state and won.state is not NodeState.DECOMMISSIONED:
            found.append(changed(word.position, word.key, state, (now, reason)))
        state = now
    return found


def _told_before(won: Sequence[Won], given: Mapping[Key, Course]) -> list[Happening]:
    """Give the changes of state that these messages may have made when they came first."""
    return [
        changed(word.position, word.key, None, (state, ""))
        for one in won
        for word in given[one.word.key].steps
        for state in {word.verdict.state, one.state}
    ]


async def _absent(connection: Connection, keys: Collection[Key]) -> frozenset[Key]:
    cursor = await connection.execute(sql.PRESENT, _keys(sorted(keys)))
    there = {(row["org_id"], row["node_id"]) for row in await cursor.fetchall()}
    return frozenset(keys) - there


async def _write_details(connection: Connection, words: Sequence[Word]) -> None:
    if not words:
        return
    await connection.execute(
        sql.DETAIL,
        {
            **_keys([word.key for word in words]),
            "digest": [word.digest for word in words],
            "profile": [word.profile for word in words],
            "status": [word.document.decode(errors="replace") for word in words],
        },
    )


def _keys(keys: Sequence[Key]) -> dict[str, Any]:
    return {"org": [org for org, _ in keys], "node": [node for _, node in keys]}

"""A fleet as somebody at a terminal sees it, from whichever side: the API, or FabricNodes.

Rows, details, live answers, models and events have the shapes of the API (`models.views`) as plain
dicts with the names of their JSON; absent is unknown. Two sources give them: `fabricapi.ApiFleet`
and `fleetobjects.ObjectFleet`. What only one side knows is left out by the other.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from citadel_k8s.errors import CitadelError

Row: TypeAlias = dict[str, Any]
"""One node, as `models.views.NodeSummary`.

Rows of FabricNodes have four keys more: ``object`` (the object's name), ``created`` and
``confirmed`` (RFC 3339), and ``summary``, the texts of the printer columns (``gpus``, ``util``,
``vram``, ``models``, ``requests``), for an object has no figures that move."""

Detail: TypeAlias = dict[str, Any]
"""As `models.views.NodeDetail`; of a FabricNode ``object`` has the whole object."""

LiveAnswer: TypeAlias = dict[str, Any]
"""As `api.live.routes.LiveView`: ``live``, ``seconds``, ``address``, ``step``, ``message``,
``status``."""

Happening: TypeAlias = dict[str, Any]
"""One event, as `models.views.FleetEvent`; those of Kubernetes have ``type`` (Normal, Warning) in
place of ``kind``."""

Served: TypeAlias = dict[str, Any]
"""One model and who serves it, as `models.views.ModelView`."""


class FleetError(CitadelError):
    """A source did not give what it was asked for; the message says why and what to do.

    Parameters
    ----------
    message : str
        What was asked and what came back, fit for a terminal.
    status : int
        HTTP status, or 0 when there was no answer.
    retry_after : float or None
        Seconds that the server asked to wait.
    """

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NotFoundError(FleetError):
    """There is no such node; in kubectl's words."""

    def __init__(self, name: str) -> None:
        super().__init__(f'fabricnodes.fabric.aceteam.ai "{name}" not found', status=404)
        self.name = name


ChangeKind: TypeAlias = Literal["all", "node", "gone", "event", "cut", "back"]


Subject: TypeAlias = Literal["nodes", "events"]
"""What is watched."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a watch tells.

    Attributes
    ----------
    kind
        ``all``: these are all rows now, forget the others. ``node``: one row is new or another
        now, and ``row`` is the whole of it. ``gone``: a node is no more. ``event``: something
        happened. ``cut``: the line to the source broke, ``message`` says why, and it is tried
        again in ``seconds``. ``back``: the line stands again; where rows may have changed
        meanwhile, an ``all`` follows.
    """

    kind: ChangeKind
    id: str = ""
    row: Row | None = None
    rows: list[Row] = field(default_factory=list[Row])
    event: Happening | None = None
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Which nodes are meant: as the filters of ``GET /api/fabric/nodes``; None is no filter."""

    state: str | None = None
    model: str | None = None
    gpu: str | None = None
    label: str | None = None
    q: str | None = None


class FleetSource(Protocol):
    """Where a command line has its fleet from. Every question has a deadline of its own."""

    @property
    def where(self) -> str:
        """What is asked, in words fit for a terminal: ``the API at https://…``."""
        ...

    async def nodes(self, asked: Asked | None = None) -> list[Row]:
        """Give the rows that are meant, what needs attention first.

        Raises
        ------
        FleetError
            They cannot be had; so with all other questions.
        """
        ...

    async def node(self, name: str) -> Detail:
        """Give one node by its id or by its object's name; raises `NotFoundError`, too."""
        ...

    async def live(self, name: str) -> LiveAnswer:
        """Ask a node itself; one that does not answer is no error (``live`` is False)."""
        ...

    async def models(self, named: str | None = None) -> list[Served]:
        """Give the models, or those with a part of the name, and who serves them now."""
        ...

    async def events(
        self, *, node: str | None = None, since: float | None = None, most: int = 500
    ) -> list[Happening]:
        """Give what happened, the oldest first.

        Parameters
        ----------
        node : str or None
            Of this node alone.
        since : float or None
            Seconds since the epoch.
        most : int
            The newest so many.
        """
        ...

    def watch(self, what: Subject = "nodes") -> AsyncGenerator[Change]:
        """Tell all rows and then what changes, or what happens, for as long as it is asked.

        It begins with an ``all``, without rows where events are asked for; another one says that
        the past is to be asked for again. It comes back by itself after cuts. Close it
        (`contextlib.aclosing`).

        Raises
        ------
        FleetError
            Where trying again is in vain: refused, or there is no such thing.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...

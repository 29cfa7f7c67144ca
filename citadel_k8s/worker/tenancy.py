"""Whose node an entry speaks of: by the proxy's stamp, or by what is known of the node.

A message's own claims have no part in it, but for the id of its node in the mesh, which says whose
it is only if exactly one org has such a node.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from citadel_k8s.aio.clock import Clock

KNOWN_SECONDS: Final = 60.0
"""Seconds that what was found is believed: that an org was made, disabled, or a node enrolled is
noticed within a minute."""

KNOWN_MAX: Final = 100_000
"""Names remembered, so that made-up ones cannot fill the memory; then all are asked for anew."""


class Asked(NamedTuple):
    """What is known of an entry's sender."""

    stamped: str | None
    node_id: str
    headscale_id: str | None


class Orgs(Protocol):
    """Where orgs are looked up; `stores.postgres.orgs.Orgs` does."""

    async def enabled(self, org_ids: Collection[str]) -> set[str]:
        """Give those orgs that exist and are not disabled."""
        ...

    async def org_of_node(self, node_ids: Collection[str]) -> dict[str, list[str]]:
        """Give the orgs that have a node of such an id."""
        ...

    async def org_of_headscale(self, headscale_ids: Collection[str]) -> dict[str, list[str]]:
        """Give the orgs that have a node with such an id in the mesh."""
        ...


@dataclass(slots=True)
class _Known:
    """Answers by name, each with the moment until which it is believed."""

    answers: dict[str, tuple[float, str | None]] = field(
        default_factory=dict[str, tuple[float, str | None]]
    )

    def missing(self, names: Iterable[str], now: float) -> set[str]:
        return {name for name in names if self.answers.get(name, (0.0, None))[0] <= now}

    def learn(self, names: Iterable[str], found: dict[str, str], until: float) -> None:
        if len(self.answers) > KNOWN_MAX:
            self.answers.clear()
        self.answers |= {name: (until, found.get(name)) for name in names}

    def get(self, name: str) -> str | None:
        return self.answers.get(name, (0.0, None))[1]


class Tenancy:
    """Says whose nodes are, and remembers it for a minute.

    Parameters
    ----------
    orgs : Orgs
        Where it is looked up.
    fallback : str or None
        The org of nodes that nobody stamped and no org has; None if there is none.
    clock : Clock
        The worker's clock.
    """

    def __init__(self, orgs: Orgs, fallback: str | None, clock: Clock) -> None:
        self._orgs = orgs
        self._fallback = fallback
        self._clock = clock
        self._enabled, self._nodes, self._headscale = _Known(), _Known(), _Known()

    async def of(self, asked: Collection[Asked]) -> dict[Asked, str | None]:
        """Give the org of each; None if there is none. DatabaseError if it cannot be asked."""
        loose = [one for one in asked if one.stamped is None]
        if loose:
            await self._learn_owners(loose)
        found = {one: one.stamped or self._owner(one) for one in asked}
        await self._learn_orgs({org for org in found.values() if org is not None})
        return {
            one: org if org is not None and self._enabled.get(org) else None
            for one, org in found.items()
        }

    def _owner(self, one: Asked) -> str | None:
        owner = self._nodes.get(one.node_id)
        if owner is None and one.headscale_id:
            owner = self._headscale.get(one.headscale_id)
        return owner or self._fallback

    async def _learn_owners(self, loose: Collection[Asked]) -> None:
        now = self._clock.monotonic()
        nodes = self._nodes.missing((one.node_id for one in loose), now)
        if nodes:
            found = await self._orgs.org_of_node(nodes)
            self._nodes.learn(nodes, _only(found), now + KNOWN_SECONDS)
        mesh = {
            one.headscale_id
            for one in loose
            if one.headscale_id and self._nodes.get(one.node_id) is None
        }
        unknown = self._headscale.missing(mesh, now)
        if unknown:
            found = await self._orgs.org_of_headscale(unknown)
            self._headscale.learn(unknown, _only(found), now + KNOWN_SECONDS)

    async def _learn_orgs(self, orgs: Collection[str]) -> None:
        now = self._clock.monotonic()
        unknown = self._enabled.missing(orgs, now)
        if unknown:
            enabled = await self._orgs.enabled(unknown)
            self._enabled.learn(unknown, {org: org for org in enabled}, now + KNOWN_SECONDS)


def _only(found: dict[str, list[str]]) -> dict[str, str]:
    """Give the org of those that have one alone."""
    return {name: orgs[0] for name, orgs in found.items() if len(orgs) == 1}

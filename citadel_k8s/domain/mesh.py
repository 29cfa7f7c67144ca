"""The mesh's machines: what its coordination server says of them, and what is stored of that.

Headscale 0.23 and later list ``nodes`` with a ``user``; before, ``machines`` with a ``user`` or a
``namespace``. Source: its published protocol definitions, whose JSON leaves out what is empty.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, cast

from citadel_k8s.constants import NODE_ID_MAX
from citadel_k8s.domain.facts import clip
from citadel_k8s.errors import MeshError, WireError
from citadel_k8s.models.codec import parse_timestamp

MACHINES_MAX: Final = 50_000
"""Machines taken of an answer: five times the largest fleet."""

ADDRESSES_MAX: Final = 16
"""Addresses taken of a machine; a mesh gives two."""

_MACHINE_ID: Final = re.compile(r"[0-9]{1,19}")
_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of the mesh. ``seen_at`` in seconds since the epoch; None where untold."""

    headscale_id: str
    name: str
    addresses: tuple[str, ...]
    owner: str
    online: bool | None
    seen_at: float | None


@dataclass(frozen=True, slots=True)
class MeshNode:
    """What is stored of a machine: whose it is, and under which node id."""

    org_id: str
    node_id: str
    machine: Machine


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A node as it is stored. ``reported``: it has spoken, under this id."""

    org_id: str
    node_id: str
    headscale_id: str | None
    source: str
    reported: bool


@dataclass(slots=True)
class MeshPlan:
    """What to change: rows to write, rows whose machine is gone, rows that were nothing else."""

    write: list[MeshNode] = field(default_factory=list[MeshNode])
    left: list[StoredNode] = field(default_factory=list[StoredNode])
    delete: list[StoredNode] = field(default_factory=list[StoredNode])


def machines_of(document: Any) -> tuple[list[Machine], int]:
    """Read an answer; give its machines and how many could not be read.

    Raises
    ------
    MeshError
        If it is no list of machines at all.
    """
    listed: Any = None
    if isinstance(document, dict):
        found = cast("dict[str, Any]", document)
        listed = found.get("nodes", found.get("machines"))
        if listed is None and not found.keys() - {"nodes", "machines"}:
            listed = []  # an empty list is left out
    if not isinstance(listed, list):
        raise MeshError("the answer is no list of nodes")
    entries: list[Any] = listed  # pyright: ignore[reportUnknownVariableType]
    if len(entries) > MACHINES_MAX:
        raise MeshError(f"{len(entries)} nodes; at most {MACHINES_MAX} are taken")
    read = [_machine(entry) for entry in entries]
    machines = [machine for machine in read if machine is not None]
    return machines, len(read) - len(machines)


def assigned(
    machines: Iterable[Machine], orgs: Mapping[str, str], default_org: str | None
) -> tuple[list[tuple[str, Machine]], int]:
    """Give each machine with its owner's org, and how many have none."""
    pairs = [(orgs.get(machine.owner, default_org), machine) for machine in machines]
    known = [(org, machine) for org, machine in pairs if org is not None]
    return known, len(pairs) - len(known)


def plan(stored: Iterable[StoredNode], seen: Iterable[tuple[str, Machine]]) -> MeshPlan:
    """Say what to change so that the stored nodes have the machines that were seen.

    A node that speaks under another id, but for the same machine, is that machine's row; one that
    was there for the mesh alone then goes. Two machines never share an id: the second gets its
    number behind its name.
    """
    taken = {(node.org_id, node.node_id): node for node in stored}
    by_machine: dict[tuple[str, str], list[StoredNode]] = {}
    for node in taken.values():
        if node.headscale_id is not None:
            by_machine.setdefault((node.org_id, node.headscale_id), []).append(node)
    result = MeshPlan()
    for org_id, machine in sorted(seen, key=lambda pair: (pair[0], int(pair[1].headscale_id))):
        mine = by_machine.pop((org_id, machine.headscale_id), [])
        mine.sort(key=lambda node: (not node.reported, node.source == "mesh", node.node_id))
        if mine:
            node_id = mine[0].node_id
            result.delete += [n for n in mine[1:] if n.source == "mesh" and not n.reported]
        else:
            node_id = _free_id(org_id, machine, taken)
            fresh = StoredNode(org_id, node_id, machine.headscale_id, "mesh", reported=False)
            taken[org_id, node_id] = fresh
        result.write.append(MeshNode(org_id, node_id, machine))
    for gone in by_machine.values():
        for node in gone:
            bare = node.source == "mesh" and not node.reported
            (result.delete if bare else result.left).append(node)
    return result


def _machine(entry: Any) -> Machine | None:
    if not isinstance(entry, dict):
        return None
    said = cast("dict[str, Any]", entry)
    number = str(said.get("id", ""))
    name = said.get("givenName") or said.get("name")
    if not _MACHINE_ID.fullmatch(number) or not isinstance(name, str):
        return None
    online = said.get("online")
    return Machine(
        headscale_id=number,
        name=clip(name),
        addresses=_addresses(said.get("ipAddresses")),
        owner=_owner(said),
        online=online if isinstance(online, bool) else False,  # false is left out
        seen_at=_moment(said.get("lastSeen")),
    )


def _owner(said: Mapping[str, Any]) -> str:
    owner = said.get("user") or said.get("namespace")
    if not isinstance(owner, dict):
        return ""
    names = cast("dict[str, Any]", owner)
    # A person who came by a provider of identities has an e-mail address and, rarely, a name.
    name = names.get("name") or names.get("email") or ""
    return clip(name) if isinstance(name, str) else ""


def _addresses(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    found: list[str] = []
    texts: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
    for text in texts[:ADDRESSES_MAX]:
        try:
            if isinstance(text, str):  # a number would be an address too
                found.append(str(ip_address(text)))
        except ValueError:
            continue
    return tuple(found)


def _moment(value: Any) -> float | None:
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except WireError:
        return None


def _free_id(org_id: str, machine: Machine, taken: Mapping[tuple[str, str], StoredNode]) -> str:
    """Give the id that the machine's node has or would have."""
    plain = _FOREIGN.sub("-", machine.name).strip("-.")[:NODE_ID_MAX] or "node"
    there = taken.get((org_id, plain))
    if there is None or there.headscale_id in {None, machine.headscale_id}:
        return plain
    behind = f"-{machine.headscale_id}"
    return plain[: NODE_ID_MAX - len(behind)] + behind

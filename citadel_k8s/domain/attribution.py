"""Who holds which GPU, joined from what the kubelet gave and from what runs.

Neither is enough. The kubelet knows what was given, not what is used; the driver knows what runs,
not by what right. Where one of the two is silent, what it would have said is unknown: a GPU whose
processes are hidden is not idle, and a pod whose name nobody knows is no intruder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from citadel_k8s.domain.devices import DeviceMap, device_of
from citadel_k8s.domain.grants import Grant, Grants, contested, grants_of
from citadel_k8s.domain.owners import Owner, PodNames, owners_of
from citadel_k8s.domain.uses import Party, Use, sort_uses, uses_of
from citadel_k8s.models.readings import Allocation, Gpu, Holder, Pod, Pods, Processes

CONFIRM_SECONDS: Final = 5.0
"""How long after a process was first seen without a right the grants have to have been read before
its pod is told as using what it was not given. Processes are seen within seconds and grants are
read each half a minute: those of before a pod began know nothing of it."""


IDLE_GAP_SECONDS: Final = 90.0
"""How long an idle time outlives looks that could not tell: three heartbeats. A new process is on
the GPU's list before anybody has read whose it is, and it is seldom that of an idle neighbour."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A process without a right, since a moment of the caller's."""

    pid: int
    started: int | None
    since: float


@dataclass(frozen=True, slots=True)
class Idle:
    """A device that a container holds and nobody was seen on, since a moment of the caller's.

    ``seen`` is when that was last sure.
    """

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    since: float
    seen: float

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same as that of an earlier look."""
        return self.device, self.namespace, self.pod, self.container


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who holds what, at one moment.

    ``holders`` has a GPU's index with its holders; a GPU that nobody holds has none, and one of
    which nothing can be said is not in it. ``processes`` tells whose each process on a GPU is.
    ``unplaced`` are given GPUs of which nobody can say which they are. ``idle`` and ``strays`` are
    what the next look has to know of this one.
    """

    holders: tuple[tuple[int, tuple[Holder, ...]], ...] = ()
    processes: tuple[Owner, ...] = ()
    unplaced: tuple[Allocation, ...] = ()
    idle: tuple[Idle, ...] = ()
    strays: tuple[Stray, ...] = ()
    pods: tuple[Pod, ...] = ()

    def of(self, gpu: int) -> tuple[Holder, ...] | None:
        """Give the holders of a GPU; None if nothing can be said of it."""
        return next((holders for index, holders in self.holders if index == gpu), None)

    def owner(self, pid: int) -> Owner | None:
        """Give whose a process is; None if it is on no GPU."""
        return next((owner for owner in self.processes if owner.pid == pid), None)


def attribute(
    gpus: Sequence[Gpu],
    pods: Pods | None,
    processes: Processes | None,
    before: Attribution | None,
    now: float,
    *,
    granted_at: float | None = None,
) -> Attribution:
    """Say who holds which GPU.

    Parameters
    ----------
    gpus : sequence of Gpu
        The GPUs with their processes.
    pods : Pods or None
        Names of pods and what was given to them.
    processes : Processes or None
        What is known of the processes that are on GPUs.
    before : Attribution or None
        That of the last look. Idle times begin with the first look that saw a device idle, and
        so they begin anew with the agent: they are at least this long. What a pod uses
        without a right is told from the second look on, if the grants were read
        `CONFIRM_SECONDS` after the first.
    now : float
        The present, in seconds of any clock that does not jump.
    granted_at : float or None
        When the kubelet said what it gave; None for now.
    """
    names = PodNames(pods.pods if pods else ())
    pids = dict.fromkeys(p.pid for gpu in gpus for p in gpu.processes or ())
    owners = owners_of(pids, processes, names)
    allocations = pods.allocations if pods else None
    mps = {device for gpu in gpus for device in _shared_by_mps(gpu, owners, before)}
    grants = grants_of(allocations or (), DeviceMap(gpus), names, mps)
    looks = [
        _Look(gpu, uses_of(gpu, owners), None if allocations is None else grants) for gpu in gpus
    ]
    idle = _idle(looks, before.idle if before else (), now, asked=allocations is not None)
    began = {entry.key: entry.since for entry in idle}
    strays = _strays(looks, before, now)
    asked_at = now if granted_at is None else granted_at
    sure = {stray.pid for stray in strays if asked_at - stray.since >= CONFIRM_SECONDS}
    return Attribution(
        holders=tuple((k.gpu.index, tuple(k.holders(began, sure, now))) for k in looks if k.told),
        processes=tuple(owners.values()),
        unplaced=grants.unplaced,
        idle=idle,
        strays=strays,
        pods=pods.pods if pods else (),
    )


class _Look:
    """One GPU: what was given of it, and what runs on it."""

    def __init__(self, gpu: Gpu, uses: list[Use], grants: Grants | None) -> None:
        self.gpu = gpu
        self.uses = uses
        # What runs is of the present reading only where the values are.
        self.seen = gpu.processes is not None and gpu.age_seconds is None
        self.told = gpu.processes is not None or grants is not None
        own = None if grants is None else [g for g in grants.placed if g.gpu == gpu.index]
        self._sorted = sort_uses(gpu, uses, own, () if grants is None else grants.unplaced)
        self._drop_ended()

    def idle(self) -> Iterable[Grant]:
        """Give the grants that nobody is on."""
        for grant, uses in self._sorted.by_grant.items():
            if self.seen and not uses and grant not in self._sorted.doubtful:
                yield grant

    def busy(self) -> set[tuple[str | None, str | None]]:
        """Give the pods that are seen here."""
        return {(use.owner.namespace, use.owner.pod) for use in self.uses}

    def given(self) -> set[tuple[str, str, str, str]]:
        """Give the keys of what was given of this GPU."""
        return {grant.key for grant in self._sorted.by_grant}

    def strays(self) -> Iterable[Owner]:
        """Give the owners of processes without a right."""
        for party, uses in self._sorted.others.items():
            if party.how == "unallocated":
                yield from (use.owner for use in uses)

    def holders(
        self, began: dict[tuple[str, str, str, str], float], sure: set[int], now: float
    ) -> list[Holder]:
        """Give the holders: those of grants first."""
        idle = set(self.idle())
        given = [
            Holder(
                device=grant.device,
                how=grant.how,
                namespace=grant.namespace,
                pod=grant.pod,
                pod_uid=_uid(grant, uses),
                container=grant.container,
                pids=_pids(uses),
                memory_used_bytes=_memory(uses) if uses or grant in idle else None,
                idle_seconds=max(0.0, now - began[grant.key]) if grant in idle else None,
            )
            for grant, uses in self._sorted.by_grant.items()
        ]
        return given + [_taken(party, uses, sure) for party, uses in self._sorted.others.items()]

    def _drop_ended(self) -> None:
        """Have one holder of a device that only one pod can have, or say that nobody knows."""
        disputed = contested(self._sorted.by_grant)
        if not disputed:
            return
        used = {g.device for g, uses in self._sorted.by_grant.items() if uses}
        kept = [
            (grant, uses)
            for grant, uses in self._sorted.by_grant.items()
            if uses or grant.device not in disputed & used
        ]
        still = contested(grant for grant, _ in kept)
        self._sorted.by_grant = {}
        for grant, uses in kept:
            sure = replace(grant, how="unknown") if grant.device in still else grant
            self._sorted.by_grant[sure] = uses
            if sure is not grant or grant in self._sorted.doubtful:
                self._sorted.doubtful.add(sure)


def _taken(party: Party, uses: list[Use], sure: set[int]) -> Holder:
    pids = _pids(uses)
    doubtful = party.how == "unallocated" and sure.isdisjoint(pids)
    return Holder(
        device=party.device,
        how="process" if doubtful else party.how,
        namespace=party.namespace,
        pod=party.pod,
        pod_uid=party.pod_uid,
        container=party.container,
        pids=pids,
        memory_used_bytes=_memory(uses),
    )


def _strays(looks: Iterable[_Look], before: Attribution | None, now: float) -> tuple[Stray, ...]:
    first = {(s.pid, s.started): s.since for s in before.strays} if before else {}
    owners = {owner for look in looks for owner in look.strays()}
    return tuple(
        Stray(o.pid, o.started, first.get((o.pid, o.started), now))
        for o in sorted(owners, key=lambda owner: owner.pid)
    )


def _idle(
    looks: Sequence[_Look], before: Iterable[Idle], now: float, *, asked: bool
) -> tuple[Idle, ...]:
    """Give the idle times that go on or begin; ``asked``: the kubelet said what it gave."""
    earlier = {idle.key: idle for idle in before}
    found: dict[tuple[str, str, str, str], Idle] = {}
    for look in looks:
        for grant in look.idle():
            known = earlier.get(grant.key)
            since = known.since if known else now
            found[grant.key] = Idle(device_of(look.gpu), *grant.key, since, now)
    for look in looks:
        gpu, busy, given = device_of(look.gpu), look.busy(), look.given()
        quiet = not asked and look.seen and not look.uses
        for key, idle in earlier.items():
            if key in found or idle.gpu != gpu or (idle.namespace, idle.pod) in busy:
                continue
            if quiet:
                found[key] = replace(idle, seen=now)
            elif now - idle.seen <= IDLE_GAP_SECONDS and (not asked or key in given):
                found[key] = idle
    return tuple(found.values())


def _shared_by_mps(gpu: Gpu, owners: dict[int, Owner], before: Attribution | None) -> Iterable[str]:
    """Give the devices of a GPU that are shared by MPS; all of them where its server runs."""
    devices = [device_of(gpu), *(mig.uuid for mig in gpu.mig or ())]
    if any(p.kind == "mps" or owners[p.pid].where == "mps" for p in gpu.processes or ()):
        return devices
    # Without a client the server may be gone, and MPS is how the GPU is shared nevertheless.
    known = (
        {h.device for _, held in before.holders for h in held if h.how == "mps"} if before else ()
    )
    return [device for device in devices if device in known]


def _uid(grant: Grant, uses: list[Use]) -> str | None:
    seen = {use.owner.pod_uid for use in uses}
    if len(seen) == 1:
        return seen.pop()
    return grant.uids[0] if len(grant.uids) == 1 else None


def _pids(uses: Iterable[Use]) -> tuple[int, ...]:
    return tuple(sorted({use.process.pid for use in uses}))


def _memory(uses: Iterable[Use]) -> int | None:
    total = 0
    for use in uses:
        if use.process.memory_used_bytes is None:
            return None
        total += use.process.memory_used_bytes
    return total

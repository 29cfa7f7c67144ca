"""What runs on one GPU, and by what right: each process is put to what its pod was given.

A right belongs to a pod. A container that uses what another one of its pod was given is told by
its own name, with the pod's right.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from citadel_k8s.domain.devices import device_of
from citadel_k8s.domain.grants import Grant
from citadel_k8s.domain.owners import Owner
from citadel_k8s.models.readings import Allocation, Gpu, GpuProcess, MigInstance


@dataclass(frozen=True, slots=True)
class Use:
    """A process on a GPU and whose it is."""

    process: GpuProcess
    owner: Owner


@dataclass(frozen=True, slots=True)
class Party:
    """Who uses a device: what the processes of one holder have in common."""

    device: str
    how: str
    namespace: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    container: str | None = None


@dataclass(slots=True)
class Sorted:
    """The uses of one GPU: by grant, the others by party.

    ``doubtful`` are the grants that may be in use by a process of which nobody can say so.
    """

    by_grant: dict[Grant, list[Use]]
    others: dict[Party, list[Use]] = field(default_factory=dict[Party, list[Use]])
    doubtful: set[Grant] = field(default_factory=set[Grant])


def uses_of(gpu: Gpu, owners: Mapping[int, Owner]) -> list[Use]:
    """Give the uses of a GPU; the server of MPS is on it for others."""
    found: dict[tuple[int, int | None, int | None], GpuProcess] = {}
    for process in gpu.processes or ():
        key = process.pid, process.gpu_instance_id, process.compute_instance_id
        # A process that computes and draws is listed twice, with the same memory.
        if key not in found or found[key].memory_used_bytes is None:
            found[key] = process
    return [Use(p, owners[p.pid]) for p in found.values() if owners[p.pid].where != "mps"]


def sort_uses(
    gpu: Gpu,
    uses: Iterable[Use],
    grants: Sequence[Grant] | None,
    unplaced: Sequence[Allocation],
) -> Sorted:
    """Put each use to the grant it belongs to, or say what it is without one.

    Parameters
    ----------
    gpu : Gpu
        The GPU.
    uses : iterable of Use
        What runs on it.
    grants : sequence of Grant or None
        What was given of it; None where nobody knows.
    unplaced : sequence of Allocation
        Given GPUs of which nobody can say which they are.
    """
    result = Sorted({grant: [] for grant in grants or ()})
    for use in uses:
        match use.owner.where:
            case "pod":
                _sort_pod(gpu, use, grants, unplaced, result)
            case "host":
                _add(result, Party(_device(gpu, use), "host"), use)
            case _:
                _add(result, Party(_device(gpu, use), "unknown"), use)
                result.doubtful.update(g for g in grants or () if _possible(g, use))
    return result


def _sort_pod(
    gpu: Gpu,
    use: Use,
    grants: Sequence[Grant] | None,
    unplaced: Sequence[Allocation],
    result: Sorted,
) -> None:
    owner = use.owner
    if grants is None:
        _add(result, _party(gpu, use, "process"), use)
        return
    own = [g for g in grants if _same_pod(g, owner) and _possible(g, use)]
    exact = [g for g in own if owner.container in {None, g.container}]
    if len(exact) == 1:
        result.by_grant[exact[0]].append(use)
    elif own:
        # Of several devices or containers of this pod nobody can say which.
        devices = {g.device for g in own}
        device = devices.pop() if len(devices) == 1 else _device(gpu, use)
        result.doubtful.update(exact)
        _add(result, _named(use, Party(device, own[0].how)), use)
    elif owner.named:
        held = any((a.namespace, a.pod) == (owner.namespace, owner.pod) for a in unplaced)
        _add(result, _party(gpu, use, "unknown" if held else "unallocated"), use)
    else:
        # A pod without a name may be any that was given something here: even where their UIDs are
        # known it may be a new one of an old name.
        possible = [g for g in grants if _possible(g, use)]
        result.doubtful.update(possible)
        _add(result, _party(gpu, use, "unknown" if possible or unplaced else "unallocated"), use)


def _same_pod(grant: Grant, owner: Owner) -> bool:
    return owner.named and (grant.namespace, grant.pod) == (owner.namespace, owner.pod)


def _possible(grant: Grant, use: Use) -> bool:
    return grant.holds(use.process.gpu_instance_id, use.process.compute_instance_id)


def _party(gpu: Gpu, use: Use, how: str) -> Party:
    return _named(use, Party(_device(gpu, use), how))


def _named(use: Use, party: Party) -> Party:
    owner = use.owner
    return Party(
        party.device, party.how, owner.namespace, owner.pod, owner.pod_uid, owner.container
    )


def _device(gpu: Gpu, use: Use) -> str:
    mig = _instance(gpu, use.process)
    return mig.uuid if mig else device_of(gpu)


def _instance(gpu: Gpu, process: GpuProcess) -> MigInstance | None:
    if process.gpu_instance_id is None:
        return None
    found = [m for m in gpu.mig or () if m.gpu_instance_id == process.gpu_instance_id]
    same = [m for m in found if m.compute_instance_id == process.compute_instance_id]
    return (same or found or [None])[0] if same or len(found) == 1 else None


def _add(result: Sorted, party: Party, use: Use) -> None:
    result.others.setdefault(party, []).append(use)

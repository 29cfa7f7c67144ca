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
    sorter = _Sorter(gpu, grants, unplaced)
    for use in uses:
        sorter.sort(use)
    return sorter.result


class _Sorter:
    """Sorts the uses of one GPU."""

    def __init__(
        self, gpu: Gpu, grants: Sequence[Grant] | None, unplaced: Sequence[Allocation]
    ) -> None:
        self._gpu = gpu
        self._known = grants is not None
        self._by_pod: dict[tuple[str | None, str | None], list[Grant]] = {}
        for grant in grants or ():
            self._by_pod.setdefault((grant.namespace, grant.pod), []).append(grant)
        self._unplaced = {(a.namespace, a.pod) for a in unplaced}
        self.result = Sorted({grant: [] for grant in grants or ()})

    def sort(self, use: Use) -> None:
        """Put one use to where it belongs."""
        match use.owner.where:
            case "pod" if not self._known:
                self._add("process", use)
            case "pod" if use.owner.named:
                self._sort_named(use)
            case "pod":
                # A pod without a name may be any that was given something here: even where their
                # UIDs are known it may be a new one of an old name.
                possible = self._doubt(use)
                self._add("process" if possible or self._unplaced else "unallocated", use)
            case "host":
                self._add("host", use)
            case _:
                self._doubt(use)
                self._add("unknown", use)

    def _sort_named(self, use: Use) -> None:
        pod = use.owner.namespace, use.owner.pod
        own = [grant for grant in self._by_pod.get(pod, ()) if _possible(grant, use)]
        exact = [grant for grant in own if use.owner.container in {None, grant.container}]
        if len(exact) == 1:
            self.result.by_grant[exact[0]].append(use)
        elif own:
            # Of several devices or containers of this pod nobody can say which.
            self.result.doubtful.update(exact)
            devices = {grant.device for grant in own}
            self._add(own[0].how, use, devices.pop() if len(devices) == 1 else None)
        else:
            self._add("process" if pod in self._unplaced else "unallocated", use)

    def _doubt(self, use: Use) -> bool:
        """Remember that this may be the use of any grant here; whether there is one."""
        possible = {grant for grant in self.result.by_grant if _possible(grant, use)}
        self.result.doubtful |= possible
        return bool(possible)

    def _add(self, how: str, use: Use, device: str | None = None) -> None:
        owner = use.owner
        device = device or _device(self._gpu, use)
        party = Party(device, how)
        if owner.where == "pod":
            party = Party(device, how, owner.namespace, owner.pod, owner.pod_uid, owner.container)
        self.result.others.setdefault(party, []).append(use)


def _possible(grant: Grant, use: Use) -> bool:
    return grant.holds(use.process.gpu_instance_id, use.process.compute_instance_id)


def _device(gpu: Gpu, use: Use) -> str:
    mig = _instance(gpu, use.process)
    return mig.uuid if mig else device_of(gpu)


def _instance(gpu: Gpu, process: GpuProcess) -> MigInstance | None:
    if process.gpu_instance_id is None:
        return None
    found = [m for m in gpu.mig or () if m.gpu_instance_id == process.gpu_instance_id]
    same = [m for m in found if m.compute_instance_id == process.compute_instance_id]
    return same[0] if same else found[0] if len(found) == 1 else None

"""What the kubelet gave of the GPUs, device by device."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from citadel_k8s.domain.devices import DeviceMap, is_gpu
from citadel_k8s.domain.owners import PodNames
from citadel_k8s.models.readings import Allocation, MigInstance


@dataclass(frozen=True, slots=True)
class Grant:
    """A GPU or a part of one, given to one container.

    ``uids`` are those of the pods of this name: none where nobody names this node's pods.
    """

    gpu: int
    device: str
    how: str
    namespace: str
    pod: str
    container: str
    uids: tuple[str, ...] = ()
    mig: MigInstance | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same grant as that of an earlier look."""
        return self.device, self.namespace, self.pod, self.container

    def holds(self, instance: int | None, compute: int | None) -> bool:
        """Whether a process in these MIG instances can be on this device; None: not told."""
        if self.mig is None or instance is None or self.mig.gpu_instance_id is None:
            return True
        if self.mig.gpu_instance_id != instance:
            return False
        return None in {compute, self.mig.compute_instance_id} or (
            self.mig.compute_instance_id == compute
        )


@dataclass(frozen=True, slots=True)
class Grants:
    """All grants of GPUs; ``unplaced`` are given GPUs of which nobody can say which they are."""

    placed: tuple[Grant, ...]
    unplaced: tuple[Allocation, ...]


def grants_of(
    allocations: Iterable[Allocation], devices: DeviceMap, names: PodNames, mps: Collection[str]
) -> Grants:
    """Place what was given.

    Parameters
    ----------
    allocations : iterable of Allocation
        What the kubelet says.
    devices : DeviceMap
        The GPUs there are.
    names : PodNames
        Gives the pods' UIDs.
    mps : collection of str
        Devices that are shared by MPS; other shared ones are time-sliced.
    """
    placed: dict[tuple[str, str, str, str], Grant] = {}
    untold: set[tuple[str, str, str, str]] = set()
    unplaced: list[Allocation] = []
    for allocation in allocations:
        lost: list[str] = []
        for name in allocation.devices:
            place = devices.place(allocation.resource, name)
            if place is None:
                if is_gpu(allocation.resource, name):
                    lost.append(name)
                continue
            how = _how(allocation, shared=bool(place.shared), part=place.part)
            how = "mps" if how == "time-sliced" and place.device in mps else how
            grant = Grant(
                gpu=place.gpu,
                device=place.device,
                how=how,
                namespace=allocation.namespace,
                pod=allocation.pod,
                container=allocation.container,
                uids=tuple(names.uids(allocation.namespace, allocation.pod)),
                mig=place.mig,
            )
            # Two replicas of one GPU in one container are one use of it.
            if grant.key not in placed:
                placed[grant.key] = grant
            if place.shared is None:
                untold.add(grant.key)
        if lost:
            unplaced.append(replace(allocation, devices=tuple(lost)))
    return Grants(_told(placed, untold), tuple(unplaced))


def contested(grants: Iterable[Grant]) -> set[str]:
    """Give the devices that more than one pod has for itself alone, which cannot be.

    Kubelets before 1.34 list a pod that has run to its end beside the one that has its device now,
    and one whose plugin was changed may give a device twice.
    """
    pods: dict[str, set[tuple[str, str]]] = {}
    for grant in grants:
        if grant.how in {"exclusive", "mig"}:
            pods.setdefault(grant.device, set()).add((grant.namespace, grant.pod))
    return {device for device, holders in pods.items() if len(holders) > 1}


def _how(allocation: Allocation, *, shared: bool, part: bool) -> str:
    if allocation.claim is not None:
        return "claim"
    if shared:
        return "time-sliced"
    return "mig" if part else "exclusive"


def _told(
    placed: dict[tuple[str, str, str, str], Grant], untold: set[tuple[str, str, str, str]]
) -> tuple[Grant, ...]:
    # A name that does not tell whether it is shared: it is, where several containers have it.
    holders = Counter(grant.device for grant in placed.values())
    return tuple(
        replace(grant, how="time-sliced")
        if grant.key in untold and holders[grant.device] > 1 and grant.how == "exclusive"
        else grant
        for grant in placed.values()
    )

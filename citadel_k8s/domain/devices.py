"""Which GPU a device's name means: plugins and drivers each have their own way to name one.

====================================  ===========================================================
``GPU-<uuid>``, ``GPU-<uuid>::3``     NVIDIA's plugin; the number tells replicas of a shared GPU
``MIG-<uuid>``, ``MIG-GPU-<uuid>/1/0``  a MIG instance, by drivers since R470 and before
``gpu-3``, ``gpu-3-mig-9-0-1``        NVIDIA's driver of resource claims: the device node's number;
``gpu-3-mig-1g10gb-19-0``             of a slice the profile's number, or its name before it
``k8s.gpu.nvidia.com/claim=…-gpu-3``  the same, as the container runtime is told
``0000:0c:00.0``, ``0000-0c-00-0-…``  AMD's plugin and Intel's driver: the address on the PCI bus
``nvidia3``, ``nvidia3/gi7/vgpu1``    GKE's plugin: the node's number, slice and replica
``card1-0``                           Intel's plugin: the device node's number and a replica
``3``                                 some plugins: the index
====================================  ===========================================================
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from citadel_k8s.models.readings import Gpu, MigInstance

_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LEGACY_MIG: Final = re.compile(rf"mig-(gpu-{_UUID})/(\d{{1,3}})/(\d{{1,3}})")
_BY_UUID: Final = re.compile(rf"((?:mig|gpu)-{_UUID})(.*)")
_NODE: Final = re.compile(r"(?:.*[=-])?gpu-(\d{1,4})(-mig-[0-9a-z.-]+)?")
_GKE: Final = re.compile(r"nvidia(\d{1,4})(?:/gi(\d{1,3}))?(/vgpu\d{1,4})?")
_CARD: Final = re.compile(r"card(\d{1,4})(?:-(\d{1,4}))?")
_PCI: Final = re.compile(r"([0-9a-f]{4,8})[:-]([0-9a-f]{2})[:-]([0-9a-f]{2})[.-]([0-7])(?:-.*)?")
_INDEX: Final = re.compile(r"\d{1,4}")

_VENDORS: Final = (("nvidia.com", "nvidia"), ("amd.com", "amd"), ("intel.com", "intel"))

_GPU_RESOURCE: Final = re.compile(r"(?:gpu|mig-|i915|xe)[a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device is. ``device`` is its name without the replica's number.

    ``shared`` is None where the name does not tell. ``mig`` is None for a whole GPU, and for a
    part of one that is not known better (``part``).
    """

    gpu: int
    device: str
    shared: bool | None = False
    mig: MigInstance | None = None
    part: bool = False


def device_of(gpu: Gpu) -> str:
    """Give the name by which a whole GPU is told: its UUID, or its index where it has none."""
    return gpu.uuid or str(gpu.index)


def is_gpu(resource: str, device: str) -> bool:
    """Whether a device is a GPU or a part of one, by its name or by that of its resource."""
    if _BY_UUID.fullmatch(device.lower()) or _LEGACY_MIG.match(device.lower()):
        return True
    if resource.endswith("_monitoring"):
        return False  # Intel's, which gives sight of all GPUs and the use of none
    domain, _, kind = resource.rpartition("/")
    if not domain:
        return resource.startswith("gpu.") and vendor_of(resource) is not None
    return vendor_of(domain) is not None and _GPU_RESOURCE.fullmatch(kind) is not None


def vendor_of(resource: str) -> str | None:
    """Give whose devices a resource has, None if that is nobody known."""
    domain = resource.partition("/")[0]
    for name, vendor in _VENDORS:
        if domain == name or domain.endswith(f".{name}"):
            return vendor
    return None


class DeviceMap:
    """Finds the GPUs that names mean."""

    def __init__(self, gpus: Sequence[Gpu]) -> None:
        self._gpus = gpus
        self._by_uuid = {gpu.uuid.lower(): gpu for gpu in gpus if gpu.uuid}
        self._mig = {m.uuid.lower(): (gpu, m) for gpu in gpus for m in gpu.mig or ()}
        self._by_pci = {
            address: gpu for gpu in gpus if (address := _address(gpu.pci_bus_id or "")) is not None
        }

    def place(self, resource: str, name: str) -> Place | None:
        """Give the place of a device, None if it is none of these GPUs or nobody can say.

        Parameters
        ----------
        resource : str
            That of the device plugin, or the name of the driver of resource claims.
        name : str
            The device's name, as the kubelet tells it.
        """
        base, replica, _ = name.partition("::")
        shared = bool(replica) or resource.endswith(".shared")
        found = self._by_name(base, shared=shared)
        if found is None and is_gpu(resource, name):
            vendor = vendor_of(resource)
            gpus = [gpu for gpu in self._gpus if gpu.vendor == vendor]
            found = self._by_number(base, gpus, shared=shared)
        return found

    def _by_name(self, name: str, *, shared: bool) -> Place | None:
        lower = name.lower()
        if legacy := _LEGACY_MIG.match(lower):
            return self._legacy(legacy, name, shared=shared)
        if found := _BY_UUID.fullmatch(lower):
            # Plugins of other makers mark replicas in ways of their own, always after the UUID.
            lower, shared = found[1], shared or bool(found[2])
        if (mig := self._mig.get(lower)) is not None:
            return Place(mig[0].index, mig[1].uuid, shared, mig[1], part=True)
        if (gpu := self._by_uuid.get(lower)) is not None:
            return Place(gpu.index, device_of(gpu), shared)
        return None

    def _legacy(self, found: re.Match[str], name: str, *, shared: bool) -> Place | None:
        gpu = self._by_uuid.get(found[1])
        if gpu is None:
            return None
        instance, compute = int(found[2]), int(found[3])
        for mig in gpu.mig or ():
            if (mig.gpu_instance_id, mig.compute_instance_id) == (instance, compute):
                return Place(gpu.index, mig.uuid, shared, mig, part=True)
        mig = MigInstance(name, gpu_instance_id=instance, compute_instance_id=compute)
        return Place(gpu.index, name, shared, mig, part=True)

    def _by_number(self, name: str, gpus: Sequence[Gpu], *, shared: bool) -> Place | None:
        lower = name.lower()
        if (address := _address(lower)) is not None:
            gpu = self._by_pci.get(address)
            return _placed(gpu if gpu in gpus else None, shared=shared)
        if found := _NODE.fullmatch(lower):
            part = found[2] is not None
            gpu = _by_minor(gpus, int(found[1]))
            return _placed(gpu, shared=shared, device=name if part else None)
        if found := _GKE.fullmatch(lower):
            return _of_gke(found, name, _by_minor(gpus, int(found[1])), shared=shared)
        if found := _CARD.fullmatch(lower):
            gpu = _by_minor(gpus, int(found[1]), or_index=False)
            return _placed(gpu, shared=True if found[2] != "0" else None)
        if _INDEX.fullmatch(lower):
            gpu = next((gpu for gpu in gpus if gpu.index == int(lower)), None)
            return _placed(gpu, shared=shared)
        return None


def _placed(gpu: Gpu | None, *, shared: bool | None, device: str | None = None) -> Place | None:
    """Give the place of a GPU, or of a part of it that has a name of its own."""
    if gpu is None:
        return None
    return Place(gpu.index, device or device_of(gpu), shared, part=device is not None)


def _of_gke(found: re.Match[str], name: str, gpu: Gpu | None, *, shared: bool) -> Place | None:
    shared = shared or found[3] is not None
    if gpu is None or found[2] is None:
        return _placed(gpu, shared=shared)
    instance = int(found[2])
    slices = [mig for mig in gpu.mig or () if mig.gpu_instance_id == instance]
    # One with several compute instances is no device of its own.
    own = slices[0] if len(slices) == 1 else None
    device = own.uuid if own else name.removesuffix(found[3] or "")
    mig = own or MigInstance(device, gpu_instance_id=instance)
    return Place(gpu.index, device, shared, mig, part=True)


def _by_minor(gpus: Sequence[Gpu], minor: int, *, or_index: bool = True) -> Gpu | None:
    """Give the GPU with this device node.

    NVIDIA's nodes are numbered as its GPUs are, in the order of the bus, unless one was taken
    from the driver and given back. Cards are not: a screen may come first.
    """
    told = any(gpu.minor is not None for gpu in gpus)
    for gpu in gpus:
        if (gpu.minor if told else gpu.index if or_index else None) == minor:
            return gpu
    return None


def _address(text: str) -> tuple[int, ...] | None:
    found = _PCI.fullmatch(text.lower())
    return tuple(int(part, 16) for part in found.groups()) if found else None

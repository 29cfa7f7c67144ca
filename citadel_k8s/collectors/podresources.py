"""Who was given which device: the kubelet's pod-resources interface.

The fields are those of ``podresources.proto`` beside this module. The interface names pods, not
their UIDs, and is served on a socket that belongs to root.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from citadel_k8s.collectors.lines import TEXT_MAX, clean
from citadel_k8s.collectors.protobuf import Reader
from citadel_k8s.collectors.unary import PERMISSION_DENIED, CallError, call
from citadel_k8s.models.readings import Allocation, Failed, Outcome, Reading

DEADLINE: Final = 2.0
"""Seconds for both calls. The kubelet answers from memory, in milliseconds."""

LIST: Final = "/v1.PodResourcesLister/List"
"""Gives what each container was given. Source: the kubelet's API, served since Kubernetes 1.20."""

ALLOCATABLE: Final = "/v1.PodResourcesLister/GetAllocatableResources"
"""Gives all devices that can be given; not served by kubelets before 1.23."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What the kubelet gave and can give. ``allocatable`` is None where it does not say."""

    allocations: tuple[Allocation, ...]
    allocatable: tuple[tuple[str, tuple[str, ...]], ...] | None


async def ask(socket: Path, *, deadline: float = DEADLINE) -> Outcome[Granted]:
    """Ask the kubelet.

    Raises
    ------
    OSError
        If the socket cannot be connected to.
    """
    listed, allocatable = await call(socket, [LIST, ALLOCATABLE], deadline=deadline)
    if isinstance(listed, CallError):
        return _failure(listed)
    try:
        allocations = allocations_of(listed)
    except ValueError as error:
        return Failed("PodResourcesUnreadable", f"the list of pods cannot be read: {error}")
    return Reading(Granted(allocations, _allocatable(allocatable)))


def allocations_of(message: bytes) -> tuple[Allocation, ...]:
    """Give what a ``ListPodResourcesResponse`` says; one entry per container and resource.

    Raises
    ------
    ValueError
        If it is none, or has too many fields.
    """
    reader = Reader()
    found: dict[tuple[str, str, str, str, str | None], dict[str, None]] = {}
    for number, pod in reader.fields(memoryview(message)):
        if number != 1:
            continue
        for key, devices in _pod(reader, pod):
            found.setdefault(key, {}).update(dict.fromkeys(devices))
    return tuple(
        Allocation(namespace, pod, container, resource, tuple(devices), claim)
        for (namespace, pod, container, resource, claim), devices in found.items()
    )


def allocatable_of(message: bytes) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Give the devices by resource of an ``AllocatableResourcesResponse``.

    Raises
    ------
    ValueError
        If it is none, or has too many fields.
    """
    reader = Reader()
    found: dict[str, dict[str, None]] = {}
    for number, entry in reader.fields(memoryview(message)):
        if number == 1:
            resource, devices = _devices(reader, entry)
            found.setdefault(resource, {}).update(dict.fromkeys(devices))
    return tuple((resource, tuple(devices)) for resource, devices in found.items())


def _allocatable(answer: bytes | CallError) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    # What can be given is good to know; what was given does not depend on it.
    if isinstance(answer, CallError):
        return None
    try:
        return allocatable_of(answer)
    except ValueError:
        return None


def _failure(error: CallError) -> Failed:
    if error.status == PERMISSION_DENIED:
        return Failed("NoPermission", str(error))
    return Failed(f"PodResources{error.reason}", str(error))


def _pod(
    reader: Reader, message: memoryview
) -> Iterator[tuple[tuple[str, str, str, str, str | None], list[str]]]:
    name = namespace = ""
    containers: list[memoryview] = []
    for number, value in reader.fields(message):
        match number:
            case 1:
                name = _text(value)
            case 2:
                namespace = _text(value)
            case 3:
                containers.append(value)
            case _:
                pass
    for container in containers:
        for called, resource, claim, devices in _container(reader, container):
            if devices:
                yield (namespace, name, called, resource, claim), devices


def _container(reader: Reader, message: memoryview) -> list[tuple[str, str, str | None, list[str]]]:
    name = ""
    held: list[tuple[str, str | None, list[str]]] = []
    for number, value in reader.fields(message):
        match number:
            case 1:
                name = _text(value)
            case 2:
                resource, devices = _devices(reader, value)
                held.append((resource, None, devices))
            case 5:
                held.extend(_claimed(reader, value))
            case _:
                pass
    return [(name, resource, claim, devices) for resource, claim, devices in held]


def _devices(reader: Reader, message: memoryview) -> tuple[str, list[str]]:
    resource, devices = "", list[str]()
    for number, value in reader.fields(message):
        if number == 1:
            resource = _text(value)
        elif number == 2:  # noqa: PLR2004 - a field's number
            devices.append(_text(value))
    return resource, devices


def _claimed(reader: Reader, message: memoryview) -> Iterator[tuple[str, str, list[str]]]:
    claim, entries = "", list[memoryview]()
    for number, value in reader.fields(message):
        if number == 2:  # noqa: PLR2004 - a field's number
            claim = _text(value)
        elif number == 4:  # noqa: PLR2004 - a field's number
            entries.append(value)
    for entry in entries:
        driver, device, injected = "", "", list[str]()
        for number, value in reader.fields(entry):
            match number:
                case 1:
                    injected += _names(reader, value)
                case 2:
                    driver = _text(value)
                case 4:
                    device = _text(value)
                case _:
                    pass
        # Drivers of before Kubernetes 1.31 name no device, only what the runtime injects for it.
        yield driver, claim, [device] if device else injected


def _names(reader: Reader, message: memoryview) -> Iterable[str]:
    return [_text(value) for number, value in reader.fields(message) if number == 1]


def _text(value: memoryview) -> str:
    text = str(value, "utf-8", "replace")
    return text if len(text) <= TEXT_MAX and text.isprintable() else clean(text)

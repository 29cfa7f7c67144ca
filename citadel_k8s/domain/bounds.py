"""No message is larger than a bound, whatever the sources say.

Eight GPUs and twenty services make 20 kB. A node with ten thousand processes or models must still
be heard: what is dropped first is what a reader misses least, and the message says what it was.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from citadel_k8s.models.codec import encode
from citadel_k8s.models.wire import NodeStatus, ServiceInfo, StatusMessage

MESSAGE_MAX: Final = 256 * 1024
"""Largest message that is sent, in bytes of JSON: a quarter of what a reader takes, and 2.5 GB in a
stream of ten thousand if every node sent that much."""

MODELS_KEPT: Final = 8
"""Models still named of a service when there is no room for all."""

SERVICES_KEPT: Final = 32
"""Services still told when there is no room for all: more than the largest node runs."""

GPUS_KEPT: Final = 32
"""GPUs still told when there is no room for all: twice the largest node on sale."""


def bounded(message: StatusMessage, limit: int = MESSAGE_MAX) -> StatusMessage:
    """Give the message, or one with less in it whose encoded form fits into so many bytes.

    ``status.truncated`` names what was dropped.
    """
    if len(encode(message)) <= limit:
        return message
    dropped = list(message.status.truncated or [])
    status, smaller = message.status, message
    for what, cut in _cuts():
        status = cut(status)
        if what not in dropped:
            dropped.append(what)
        told = status.model_copy(update={"truncated": list(dropped)})
        smaller = message.model_copy(update={"status": told})
        if len(encode(smaller)) <= limit:
            break
    return smaller


def _cuts() -> Iterator[tuple[str, Callable[[NodeStatus], NodeStatus]]]:
    yield "processes", lambda s: _each_gpu(s, processes=None)
    yield "containers", lambda s: s.model_copy(update={"containers": None})
    yield "models", lambda s: _fewer_models(s, MODELS_KEPT)
    yield "holders", lambda s: _each_gpu(s, holders=None, mig=None)
    yield "models", lambda s: _fewer_models(s, 1)
    yield "services", _fewer_services
    yield "gpus", _fewer_gpus
    yield "everything", _nothing_else


def _each_gpu(status: NodeStatus, **update: None) -> NodeStatus:
    if status.gpu is None:
        return status
    gpus = [gpu.model_copy(update=dict(update)) for gpu in status.gpu]
    return status.model_copy(update={"gpu": gpus})


def _fewer_models(status: NodeStatus, kept: int) -> NodeStatus:
    if status.services is None:
        return status
    services = [_first_models(service, kept) for service in status.services]
    return status.model_copy(update={"services": services})


def _first_models(service: ServiceInfo, kept: int) -> ServiceInfo:
    lists = {"models": service.models, "loaded_models": service.loaded_models}
    cut: dict[str, Any] = {key: names[:kept] for key, names in lists.items() if names}
    return service.model_copy(update=cut | {"adapters": None})


def _fewer_services(status: NodeStatus) -> NodeStatus:
    services = (status.services or [])[:SERVICES_KEPT] or None
    return status.model_copy(update={"services": services})


def _fewer_gpus(status: NodeStatus) -> NodeStatus:
    gpus = (status.gpu or [])[:GPUS_KEPT] or None
    return status.model_copy(update={"gpu": gpus, "capabilities": None})


def _nothing_else(status: NodeStatus) -> NodeStatus:
    # What is left is of a bounded size by its form: who speaks, and how its host is.
    return NodeStatus(timestamp=status.timestamp, node=status.node, system=status.system)

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

SERVICES_KEPT: Final = 64
"""Services still told when there is no room for all: three times what a large node runs."""

GPUS_KEPT: Final = 32
"""GPUs still told when there is no room for all: twice the largest node on sale."""


def bounded(message: StatusMessage, limit: int = MESSAGE_MAX) -> StatusMessage:
    """Give the message, or one with less in it whose encoded form fits into so many bytes.

    ``status.truncated`` names what was dropped.
    """
    if len(encode(message)) <= limit:
        return message
    dropped: list[str] = []
    status, smaller = message.status, message
    for what, cut in _cuts():
        status = cut(status)
        dropped.append(what)
        told = status.model_copy(update={"truncated": list(dropped)})
        smaller = message.model_copy(update={"status": told})
        if len(encode(smaller)) <= limit:
            break
    return smaller


def _cuts() -> Iterator[tuple[str, Callable[[NodeStatus], NodeStatus]]]:
    yield "processes", lambda s: _each_gpu(s, processes=None)
    yield "containers", lambda s: s.model_copy(update={"containers": None})
    yield "models", _fewer_models
    yield "holders", lambda s: _each_gpu(s, holders=None, mig=None)
    yield "services", _fewer_services
    yield "gpus", lambda s: s.model_copy(update={"gpu": (s.gpu or [])[:GPUS_KEPT] or None})
    yield "everything", _nothing_else


def _each_gpu(status: NodeStatus, **update: None) -> NodeStatus:
    if status.gpu is None:
        return status
    gpus = [gpu.model_copy(update=dict(update)) for gpu in status.gpu]
    return status.model_copy(update={"gpu": gpus})


def _fewer_models(status: NodeStatus) -> NodeStatus:
    if status.services is None:
        return status
    return status.model_copy(update={"services": [_first_models(s) for s in status.services]})


def _first_models(service: ServiceInfo) -> ServiceInfo:
    lists = {"models": service.models, "loaded_models": service.loaded_models}
    cut: dict[str, Any] = {key: names[:MODELS_KEPT] for key, names in lists.items() if names}
    return service.model_copy(update=cut | {"adapters": None})


def _fewer_services(status: NodeStatus) -> NodeStatus:
    services = (status.services or [])[:SERVICES_KEPT] or None
    return status.model_copy(update={"services": services})


def _nothing_else(status: NodeStatus) -> NodeStatus:
    # What is left is of a bounded size by its form: who speaks, and how its host is.
    return NodeStatus(timestamp=status.timestamp, node=status.node, system=status.system)

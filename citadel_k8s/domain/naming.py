"""Which pod and container an id belongs to, as far as this node can name them."""

from dataclasses import dataclass

from citadel_k8s.domain.owners import PodNames


@dataclass(frozen=True, slots=True)
class Place:
    """Where something runs; what cannot be named is None."""

    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    restarts: int | None = None


def place_of(names: PodNames, pod_uid: str | None, container_id: str | None) -> Place:
    """Give where something of this pod and container runs."""
    pod = names.pod(pod_uid) if pod_uid else names.pod_with(container_id)
    if pod is None:
        return Place()
    container = names.container(container_id)
    restarts = next((count for name, count in pod.restarts if name == container), None)
    return Place(pod.namespace, pod.name, container, restarts)

"""Which pod and container an id belongs to, as far as this node can name them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from citadel_k8s.models.readings import Pod


@dataclass(frozen=True, slots=True)
class Place:
    """Where something runs; what cannot be named is None."""

    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    restarts: int | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a node's pods by their uid."""

    pods: Mapping[str, Pod] = field(default_factory=dict[str, Pod])

    @classmethod
    def of(cls, pods: Iterable[Pod]) -> "Names":
        """Give the names of these pods."""
        return cls({pod.uid: pod for pod in pods})

    def place(self, pod_uid: str | None, container_id: str | None) -> Place:
        """Give where something of this pod and container runs."""
        pod = self.pods.get(pod_uid) if pod_uid else None
        if pod is None:
            return Place()
        container = next((n for i, n in pod.containers if i == container_id), None)
        restarts = next((count for name, count in pod.restarts if name == container), None)
        return Place(pod.namespace, pod.name, container, restarts)

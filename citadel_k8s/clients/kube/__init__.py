"""The Kubernetes API: the only room that knows the ``kubernetes`` package."""

from citadel_k8s.clients.kube.client import EVENT_NAMESPACE, KubeClient, Object
from citadel_k8s.clients.kube.transport import CONNECT_TIMEOUT, REQUEST_TIMEOUT

__all__ = ["CONNECT_TIMEOUT", "EVENT_NAMESPACE", "REQUEST_TIMEOUT", "KubeClient", "Object"]

"""Lists of pods as a kubelet gives them."""

import json
from typing import Any

from citadel_k8s.models.readings import Pod


def document(**more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": "u1",
            "namespace": "ns",
            "name": "serve-0",
            "labels": {"app.kubernetes.io/name": "vllm", "team": "secret"},
            "annotations": {"fabric.aceteam.ai/port": "8000", "other.org/x": "y"},
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "containerStatuses": [
                {"name": "main", "containerID": "containerd://abc", "restartCount": 3},
                {"name": "late", "containerID": "", "restartCount": 0},
            ],
            "initContainerStatuses": [
                {"name": "side", "containerID": "cri-o://def", "restartCount": 1}
            ],
        },
    } | more


def body(*items: Any) -> bytes:
    return json.dumps({"kind": "PodList", "items": list(items)}).encode()


POD = Pod(
    "u1",
    "ns",
    "serve-0",
    containers=(("abc", "main"), ("def", "side")),
    ip="10.0.0.7",
    labels=(("app.kubernetes.io/name", "vllm"),),
    annotations=(("fabric.aceteam.ai/port", "8000"),),
    restarts=(("main", 3), ("late", 0), ("side", 1)),
)

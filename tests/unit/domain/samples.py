"""Messages for tests of rules."""

from typing import Any

from citadel_k8s.models.codec import validate
from citadel_k8s.models.wire import StatusMessage

NOW = "2026-11-23T08:17:33Z"


def message(
    node_id: str = "gpu-1", *, envelope: dict[str, Any] | None = None, **status: Any
) -> StatusMessage:
    """Give a message of an eight-GPU node that is well, but for what is said otherwise."""
    inner: dict[str, Any] = {
        "version": "1.0",
        "timestamp": NOW,
        "node": {"name": node_id, "uptime_seconds": 60},
        "system": {"cpu_percent": 12.0, "memory_total_gb": 512.0, "cpu_count": 64},
        "gpu": [gpu(index) for index in range(8)],
        "services": [service()],
        **status,
    }
    outer = {"version": "1.0", "timestamp": NOW, "nodeId": node_id, "status": inner}
    return validate({**outer, **(envelope or {})})


def gpu(index: int, **changes: Any) -> dict[str, Any]:
    """Give one GPU."""
    return {
        "index": index,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": f"GPU-{index:08d}-aaaa-bbbb-cccc-dddddddddddd",
        "memory_used_mb": 40_960,
        "memory_total_mb": 81_920,
        "utilization_percent": 70.0,
        "driver": "570.86.15",
        "health": "ok",
        **changes,
    }


def service(**changes: Any) -> dict[str, Any]:
    """Give one service."""
    return {
        "name": "vllm",
        "type": "llm",
        "status": "running",
        "health": "ok",
        "port": 8000,
        "models": ["meta/llama-3.1-70b"],
        "requests_running": 3,
        "requests_waiting": 1,
        **changes,
    }

"""A process that stands for election and writes as fast as it may: one ConfigMap after another.

The server numbers all writes, so that whose came after whose is no matter of anybody's clock.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.config.operator import Election
from citadel_k8s.errors import KubeError
from citadel_k8s.operator.leader import Leadership, fenced
from citadel_k8s.telemetry.log import configure, get_logger

_log = get_logger("candidate")

WRITERS = 4


async def write(
    api: KubeClient, leadership: Leadership, path: str, numbers: itertools.count
) -> None:
    while True:
        if not leadership.leads():
            await asyncio.sleep(0.005)
            continue
        name = f"{leadership.identity.replace('_', '-')}-{next(numbers)}"
        body = {"metadata": {"name": name, "labels": {"writer": leadership.identity}}}
        try:
            await api.request("POST", path, body=body)
        except KubeError as error:
            _log.info("refused", status=error.status)
            await asyncio.sleep(0.01)


async def main(kubeconfig: str, namespace: str, identity: str) -> None:
    configure("info")
    api = await KubeClient.connect(Path(kubeconfig))
    settings = Election(enabled=True, namespace=namespace, name="candidates", identity=identity)
    leadership = Leadership(api, settings, SystemClock())
    _log.info("stands", identity=leadership.identity)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    numbers = itertools.count(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(leadership.run())
        for _ in range(WRITERS):
            group.create_task(write(fenced(api, leadership), leadership, path, numbers))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

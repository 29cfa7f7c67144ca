"""An operator as one would write it first: whole messages, a timer per node, a write per heartbeat.

Run as ``python -m bench._naive KUBECONFIG`` with ``CITADEL__REDIS_URL`` set.
"""

import asyncio
import os
import sys
from pathlib import Path

from bench._rig import CLOCK
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.domain.keys import object_name
from citadel_k8s.models.codec import decode, format_timestamp
from citadel_k8s.models.wire import StatusMessage
from citadel_k8s.stores.streams import RedisStatusStream

AT_ONCE = 8
"""Writes under way at the same time, as many as the real one has."""

TIMEOUT = 100.0
"""Seconds of silence after which a node counts as dead."""


class Node:
    """One node: its last message, and the task that waits for the next."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.message: StatusMessage | None = None
        self.heard = asyncio.Event()
        self.offline = False
        group.create_task(self._wait())

    async def _wait(self) -> None:
        while True:
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self.heard.wait()
                self.offline = False
            except TimeoutError:
                self.offline = True
            self.heard.clear()


async def main(kubeconfig: Path) -> None:
    """Read and write for ever."""
    api = await KubeClient.connect(kubeconfig)
    stream = RedisStatusStream(os.environ["CITADEL__REDIS_URL"])
    cursor, nodes = (await stream.head()).last_id, dict[str, Node]()
    limit = asyncio.Semaphore(AT_ONCE)

    async def write(node_id: str) -> None:
        async with limit:
            now = format_timestamp(CLOCK.now())
            status = {"lastHeartbeatTime": now, "confirmedTime": now}
            await api.patch_fabric_node_status(object_name(node_id), {"status": status})

    async with asyncio.TaskGroup() as group:
        while True:
            for entry in await stream.read(cursor, block=1.0):
                cursor = entry.id
                node = nodes.get(entry.node_id) or nodes.setdefault(entry.node_id, Node(group))
                node.message = decode(entry.payload)
                node.heard.set()
                group.create_task(write(entry.node_id))
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

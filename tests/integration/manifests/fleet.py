"""A small fleet in every state, as the operator's own projection writes it, for who looks at it."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from citadel_k8s.aio.clock import SystemClock
from citadel_k8s.clients.kube import KubeClient
from citadel_k8s.operator.configpush import ConfigPush
from citadel_k8s.operator.metrics import OperatorMetrics
from citadel_k8s.operator.projector import Projector
from citadel_k8s.stores.configsender import ConfigMessage
from tests.unit.domain.samples import gpu, service
from tests.unit.operator.fakes import World

AGENT = {"agent": {"version": "0.1.0"}, "addresses": ["10.0.0.7"]}
STATES = {
    "online": "Online",
    "faulty": "Degraded",
    "silent": "Offline",
    "leaving": "Draining",
    "plain": "Online",
    "busy": "Online",
}
"""What becomes of each node by its name."""


FIRST_WISHES = 2
"""Turn after which people ask for configuration."""

LAST_TURN = 19
"""Turn in which one node says goodbye."""


class Deaf:
    """A sender whose messages go nowhere."""

    async def send(self, message: ConfigMessage, at: float) -> None:
        del message, at

    async def load(self) -> dict[str, Any]:
        return {}

    async def forget(self, node_ids: Any) -> None:
        del node_ids


class Fleet:
    """Nodes of an organization of their own, so that a selector picks them alone.

    Attributes
    ----------
    org : str
        The organization.
    mark : str
        What all its nodes' names end with.
    """

    def __init__(self, api: KubeClient) -> None:
        self.api = api
        self.mark = secrets.token_hex(2)
        self.org = f"acme-{self.mark}"
        self.world = World(self.org)
        # So far back that its last word is not ahead of kubectl's own clock.
        self.world.clock.jump(SystemClock().now() - self.world.clock.now() - 900)
        metrics = OperatorMetrics()
        self.projector = Projector(
            api, self.world.registry, self.world.clock, metrics, jitter=lambda: 0.0
        )
        self.push = ConfigPush(Deaf(), self.world.registry, self.world.clock, metrics)

    def name(self, node: str) -> str:
        return f"{node}-{self.mark}"

    def tell(self, node: str, *, goodbye: bool = False) -> None:
        """Let one node be heard once; it has what it was asked to have."""
        told, record = _MESSAGES[node], self.world.registry.nodes.get(self.name(node))
        if record is not None and record.config_wanted is not None:
            told = told | {"config": {"revision": record.config_wanted}}
        last = {"goodbye": {"reason": "shutdown", "expectedBackSeconds": 300}} if goodbye else {}
        self.world.beat(self.name(node), org=self.org, envelope=AGENT | last, **told)

    async def settle(self) -> None:
        """Let them all be heard until each is what it is to be, and written as that."""
        for turn in range(20):
            for node in STATES:
                if turn == 0 or node != "silent":
                    self.tell(node, goodbye=node == "leaving" and turn == LAST_TURN)
            await self.write()
            if turn == FIRST_WISHES:
                for node, config in _CONFIGS.items():
                    self.world.registry.observe(await self.ask(node, config))
            self.world.clock.advance(10)
            self.world.silence()
            await self.push.turn()
        await self.write()

    async def ask(self, node: str, config: dict[str, Any]) -> dict[str, Any]:
        """Let a person ask something of a node."""
        return await self.api.patch_fabric_node(self.name(node), {"spec": {"config": config}})

    async def write(self) -> None:
        """Write what is due now."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.projector.run())
            for _ in range(6):
                await asyncio.sleep(0.05)
                self.world.clock.advance(0.05)
            while self.projector._busy:  # noqa: ASYNC110 - the projector does not tell
                await asyncio.sleep(0.05)
            task.cancel()

    async def remove(self) -> None:
        for node in STATES:
            await self.api.delete_fabric_node(self.name(node))


@asynccontextmanager
async def fleet(api: KubeClient) -> AsyncIterator[Fleet]:
    """Have a fleet that has settled, for as long as the block lasts."""
    made = Fleet(api)
    try:
        await made.settle()
        yield made
    finally:
        await made.remove()


def plain(table: str, mark: str) -> str:
    """Give a table without what differs each time, its columns put right again."""
    lines = table.replace(mark, "####").rstrip().splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", lines[0])]
    rows = [
        [
            _AGE.sub("<age>", line[a:b].strip())
            for a, b in zip(starts, [*starts[1:], None], strict=True)
        ]
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("   ".join(map(str.ljust, row, widths)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in padded)


_AGE = re.compile(r"^(\d+[smhdy])+$")
_CONFIGS: dict[str, dict[str, Any]] = {
    "online": {"deviceName": "rack 7, left"},
    "busy": {"agent": {"intervalSeconds": 1}},
}
_MESSAGES: dict[str, dict[str, Any]] = {
    "online": {},
    "faulty": {"gpu": [gpu(i, health="failed", reason="XID79") if i == 3 else gpu(i)
                       for i in range(8)]},
    "silent": {},
    "leaving": {},
    "plain": {"gpu": [], "services": [],
              "collectors": [{"name": "nvml", "state": "absent", "reason": "no-driver"}]},
    "busy": {
        "services": [
            service(models=["an-organization/a-model-with-a-very-long-name-indeed-405b-instruct"],
                    requests_running=1024, requests_waiting=4096),
            service(name="tei", type="embedding", models=["bge-m3"], port=8001),
        ]
    },
}  # fmt: skip

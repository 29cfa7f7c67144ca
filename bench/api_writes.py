"""What a fleet costs the API server: writes, counted by the server itself, and bytes.

200 nodes that report each 30 s, once with steady and once with changing load, then 1,000 nodes for
the operator's memory. The naive way is one status write per heartbeat.
"""

import asyncio
import sys
from dataclasses import dataclass

from bench._rig import CLOCK, Rig, api_writes, cpu_seconds, resident_mib, size_of
from bench.figures import Bench, Curve
from citadel_k8s.domain.liveness import Policy

NODES = 200
MINUTE = 60.0


@dataclass(frozen=True)
class Scale:
    """Seconds of each part, and nodes of the last."""

    steady: float
    changing: float
    many: int


FULL = Scale(steady=660, changing=240, many=1000)
QUICK = Scale(steady=30, changing=30, many=300)


@dataclass(frozen=True)
class Load:
    """What one part measured: writes and heartbeats per second, bytes, a curve of writes."""

    writes: float
    heartbeats: float
    largest: int
    curve: tuple[list[float], list[float]]


async def load(bench: Bench, seconds: float, *, changing: bool) -> Load:
    """Count the writes of a fleet that is already known."""
    word = "changing" if changing else "steady"
    async with (
        Rig(Policy(), NODES, changing=changing) as rig,
        asyncio.TaskGroup() as group,
    ):
        rig.speak(group)
        await rig.all_online(NODES)
        bench.say(f"{word}: {NODES} nodes are Online; counting for {seconds:g} s")
        began, writes = CLOCK.monotonic(), await api_writes(rig)
        spoken = rig.fleet.sent
        moments, counts = [0.0], [0.0]
        while CLOCK.monotonic() - began < seconds:
            await asyncio.sleep(min(10.0, seconds / 4))
            moments.append(CLOCK.monotonic() - began)
            counts.append(await api_writes(rig) - writes)
        took = CLOCK.monotonic() - began
        sent = rig.fleet.sent - spoken
        sizes = [size_of(raw) for raw in await rig.api.list_fabric_nodes()]
        rig.end_background()
    return Load(counts[-1] / took, sent / took, max(sizes), (moments, counts))


async def memory(bench: Bench, nodes: int) -> tuple[float, float]:
    """Give the operator's resident memory, MiB, and its share of a core, %, for many nodes."""
    async with Rig(Policy(), nodes) as rig, asyncio.TaskGroup() as group:
        rig.speak(group)
        await rig.all_online(nodes, timeout=120)
        bench.say(f"memory: {nodes} nodes are Online")
        used, began = cpu_seconds(rig.operator.pid), CLOCK.monotonic()
        await asyncio.sleep(5 if bench.quick else 60)
        share = (cpu_seconds(rig.operator.pid) - used) / (CLOCK.monotonic() - began)
        rig.end_background()
        return resident_mib(rig.operator.pid), 100 * share


async def measure(bench: Bench) -> None:
    """Run the parts side by side and record the figures; a full run keeps the last one apart."""
    scale = QUICK if bench.quick else FULL
    async with asyncio.TaskGroup() as group:
        first = group.create_task(load(bench, scale.steady, changing=False))
        second = group.create_task(load(bench, scale.changing, changing=True))
        third = group.create_task(memory(bench, scale.many)) if bench.quick else None
    steady, changing = first.result(), second.result()
    per_node = MINUTE / NODES
    bench.at_most(
        "writes, steady load",
        steady.writes * per_node,
        "per node and minute",
        target=0.25,
        naive=steady.heartbeats * per_node,
    )
    bench.at_most(
        "writes, changing load", changing.writes, "per second", 10, naive=changing.heartbeats
    )
    largest = max(steady.largest, changing.largest)
    bench.at_most("largest FabricNode status", largest, "bytes", target=4096)
    resident, share = third.result() if third else await memory(bench, scale.many)
    bench.inform(f"operator's memory, {scale.many} nodes", resident, "MiB")
    bench.inform(f"operator's share of a core, {scale.many} nodes", share, "%")
    lines = {"steady": steady.curve, "changing": changing.curve}
    bench.curve(Curve(f"Writes of {NODES} nodes", "seconds", "writes", lines))


def main() -> int:
    """Run the benchmark."""
    bench = Bench("api_writes", "What a fleet costs the API server")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

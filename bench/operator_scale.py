"""What ten thousand nodes cost the operator, and how soon half of five thousand are told lost.

- load: 10,000 nodes at 30 s with changing load; the operator's process, its writes, a restart.
- loss: 5,000 nodes with a door each; Redis hangs for a minute, then 50, 60 and 100 % of them die.

The naive ways, in the same run: an operator that keeps whole messages, has a timer task for each
node and writes each heartbeat; a reader that judges by the age of the last entry alone.
"""

import asyncio
import sys
from dataclasses import dataclass, field

from bench._rig import CLOCK, cpu_seconds, resident_mib
from bench._scale import Scale, list_seconds, load_over, naive_operator, speaking, until
from bench.figures import Bench, Curve
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.operator.projector import FAST_RATE

MB_PER_MIB = 1.048576

LESSER_MAX = 10.0
"""Writes per second that texts and refreshes may take, as decided."""

UNDER_WAY = 8
"""Writes that may be on their way when a storm begins."""


@dataclass(frozen=True)
class Size:
    """How much is done: nodes, seconds, shares of the fleet that are lost."""

    many: int
    settle: float
    measure: float
    fleet: int
    policy: Policy
    stop: float
    losses: tuple[float, ...]
    storm: float


FULL = Size(
    many=10_000,
    settle=100,
    measure=60,
    fleet=5000,
    policy=Policy(10, 3, 5),
    stop=60,
    losses=(0.5, 0.6, 1.0),
    storm=20,
)
QUICK = Size(
    many=400,
    settle=4,
    measure=5,
    fleet=200,
    policy=Policy(5, 2, 3),  # a question and the doubt about its answer take 4 s
    stop=14,
    losses=(0.6,),
    storm=3,
)


async def load(bench: Bench, size: Size) -> None:
    """Measure a large fleet that is well, and a restart of its operator."""
    async with Scale(Policy(), size.many) as scale:
        await scale.seed()
        bench.say(f"load: {size.many} objects are there")
        async with speaking(scale):
            await scale.settled(size.many)
            await asyncio.sleep(size.settle)
            sent = scale.fleet.sent
            used = await load_over(scale, size.measure)
            beats = (scale.fleet.sent - sent) / size.measure
            began = CLOCK.monotonic()
            await scale.get("/metrics")
            scrape = CLOCK.monotonic() - began
            bench.say("load: the operator is restarted")
            await scale.stop_operator()
            began = CLOCK.monotonic()
            await scale.start_operator()
            await scale.ready()
            restart = CLOCK.monotonic() - began
            await scale.stop_operator()
            naive = await _naive(scale, size)
    nodes = f"{size.many} nodes"
    bench.at_most(f"operator, {nodes}", used.share, "% of a core", target=15, naive=naive[0])
    resident = used.resident * MB_PER_MIB
    bench.at_most(f"memory, {nodes}", resident, "MB", target=250, naive=naive[1])
    bench.at_most(f"writes, {nodes}", used.writes, "per second", LESSER_MAX, naive=beats)
    bench.at_most(f"restart until ready, {nodes}", restart, "s", target=15)
    bench.inform(f"scrape, {nodes}", scrape, "s")


async def _naive(scale: Scale, size: Size) -> tuple[float, float]:
    """Give the share of a core, %, and the memory, MB, of the naive operator on the same fleet."""
    async with naive_operator(scale) as pid:
        await asyncio.sleep(min(35, size.settle))
        used, began = cpu_seconds(pid), CLOCK.monotonic()
        await asyncio.sleep(min(15, size.measure))
        share = (cpu_seconds(pid) - used) / (CLOCK.monotonic() - began)
        return 100 * share, resident_mib(pid) * MB_PER_MIB


@dataclass
class Watch:
    """When each node was first seen Offline in the operator's metrics."""

    scale: Scale
    told: dict[str, float] = field(default_factory=dict)
    naive: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Look once a second."""
        while True:
            states = await self.scale.states()
            now, timeout = CLOCK.monotonic(), self.scale.policy.timeout
            for node, state in states.items():
                if state == "Offline":
                    self.told.setdefault(node, now)
            self.naive |= {n for n, at in self.scale.fleet.heard.items() if now - at > timeout}
            await asyncio.sleep(1.0)


@dataclass(frozen=True)
class Loss:
    """What became of a loss: seconds after the timeout, sorted; urgent writes a second; others."""

    late: list[float]
    living: int
    writes: float
    lesser: float


async def loss(bench: Bench, size: Size) -> None:
    """Stop Redis, then let parts of the fleet die."""
    async with Scale(size.policy, size.fleet, doors=True) as scale:
        await scale.seed()
        bench.say(f"loss: {size.fleet} objects are there")
        listed = await list_seconds(scale)
        bench.at_most(f"LIST of {size.fleet}", listed, "s", target=1)
        async with speaking(scale) as group:
            await scale.settled(size.fleet)
            watch = Watch(scale)
            scale.beside(group, watch.run())
            await _stop(bench, size, scale, watch)
            for share in size.losses:
                found = await _lose(bench, size, scale, watch, share)
                _record(bench, share, size, found)
                if share != size.losses[-1]:
                    await _return(scale, watch)


async def _stop(bench: Bench, size: Size, scale: Scale, watch: Watch) -> None:
    bench.say(f"loss: Redis hangs for {size.stop:g} s")
    await scale.stack.valkey.pause()
    await asyncio.sleep(size.stop)
    await scale.stack.valkey.resume()
    back = CLOCK.monotonic()
    await asyncio.sleep(1 if bench.quick else size.policy.timeout)
    told = [node for node in watch.told if node.startswith("sim-")]
    bench.at_most("false Offline, Redis hangs", len(told), "nodes", 0, naive=len(watch.naive))
    # Who dies unheard since then has its time from the return of Redis, and not from its last word.
    heard = scale.fleet.heard
    await until(lambda: min(heard.values()) > back, timeout=60)
    await scale.settled(size.fleet)
    watch.told.clear()


async def _lose(bench: Bench, size: Size, scale: Scale, watch: Watch, share: float) -> Loss:
    victims = scale.fleet.nodes[: round(size.fleet * share)]
    bench.say(f"loss: {len(victims)} of {size.fleet} die")
    died = CLOCK.monotonic()
    for node in victims:
        node.die()
    last = max(scale.fleet.heard[node.node_id] for node in victims)
    urgent, lesser_kinds = ("create", "adopt", "state", "detail"), ("text", "refresh")
    due = last + size.policy.timeout
    await until(lambda: bool(watch.told), timeout=due + 60 - CLOCK.monotonic())
    await asyncio.sleep(2)  # the bucket's first second is full
    began, writes = CLOCK.monotonic(), await scale.writes(*urgent)
    lesser = await scale.writes(*lesser_kinds)
    await asyncio.sleep(size.storm)
    rate = (await scale.writes(*urgent) - writes) / (CLOCK.monotonic() - began)
    lesser = await scale.writes(*lesser_kinds) - lesser
    await until(
        lambda: len(watch.told) >= len(victims), timeout=max(0, due + 60 - CLOCK.monotonic())
    )
    bench.say(f"loss: {len(watch.told)} told {CLOCK.monotonic() - died:.0f} s after the death")
    ids = {node.node_id for node in victims}
    timeout, heard = size.policy.timeout, scale.fleet.heard
    late = sorted(watch.told.get(node, float("inf")) - heard[node] - timeout for node in ids)
    return Loss(late, len(set(watch.told) - ids), rate, lesser)


def _record(bench: Bench, share: float, size: Size, found: Loss) -> None:
    word = f"{share:.0%} of {size.fleet} lost"
    limit = FAST_RATE + FAST_RATE / size.storm  # a full bucket, where the server was slow before
    middle = found.late[len(found.late) // 2]
    bench.inform(f"{word}: judged, median", middle, "s after T_failure")
    bench.at_most(f"{word}: judged, latest", found.late[-1], "s after T_failure", target=10)
    bench.at_most(f"{word}: false Offline", found.living, "nodes", target=0)
    bench.at_most(f"{word}: urgent writes", found.writes, "per second", target=limit)
    if FAST_RATE * size.storm < share * size.fleet:  # else nobody worse waits all the while
        bench.at_most(f"{word}: lesser writes", found.lesser, "meanwhile", target=UNDER_WAY)
    ranks = [100 * (index + 1) / len(found.late) for index in range(len(found.late))]
    bench.curve(
        Curve(f"{word}: judged", "seconds after T_failure", "%", {"Offline": (found.late, ranks)})
    )


async def _return(scale: Scale, watch: Watch) -> None:
    """Let the dead begin anew, and wait until all are Online again."""
    for node in scale.fleet.nodes:
        if not node.speaking:
            node.reboot()
            node.speaking = True
            if node.door is not None:
                await node.door.open()
    await scale.settled(scale.count)
    watch.told.clear()


async def measure(bench: Bench) -> None:
    """Run both; one after the other in a full run, where each has the machine to itself."""
    if bench.quick:
        async with asyncio.TaskGroup() as group:
            group.create_task(load(bench, QUICK))
            group.create_task(loss(bench, QUICK))
        return
    await load(bench, FULL)
    await loss(bench, FULL)


def main() -> int:
    """Run the benchmark."""
    bench = Bench("operator_scale", "Ten thousand nodes, and the loss of thousands")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

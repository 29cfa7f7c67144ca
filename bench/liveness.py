"""How soon a dead node is told, and whether a living one is ever told dead.

Three rigs side by side, each with its own Valkey, API server, operator and fleet:

- kills: real agents die by SIGKILL among simulated ones, in waves, each reborn for the next one;
  the time until the object says Offline.
- stream: Valkey is stopped (SIGSTOP), then ended with all data lost, and is back later.
- control: the API server is stopped, then the operator is killed and restarted many times.

The naive way, in the same run on the same stream: a node is dead once its last entry is older than
the timeout. It cannot tell a silent node from a closed pipe.
"""

import asyncio
import statistics
import sys
from dataclasses import dataclass, field

from bench._rig import CLOCK, Rig
from bench.figures import Bench, Curve
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.errors import StreamError
from citadel_k8s.stores.entries import EntryId
from citadel_k8s.stores.streams import RedisStatusStream

SLACK = 3.0
"""Seconds after the failure timeout within which a dead node must be told."""


AGENTS = 3
"""Real agents among the simulated nodes of the stream rig: they have an outbox to catch up from."""


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    policy: Policy
    victims: int
    waves: int
    fleet: int
    stop: float
    restarts: int


FULL = Scale(Policy(10, 3, 5), victims=20, waves=5, fleet=60, stop=60, restarts=20)
QUICK = Scale(Policy(5, 2, 1), victims=4, waves=1, fleet=26, stop=13, restarts=3)


@dataclass
class FalseAlarms:
    """Nodes that were told Offline although they spoke."""

    rig: Rig
    told: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Look four times a second."""
        while True:
            for name, state in (await self.rig.states()).items():
                if state == "Offline":
                    self.told.add(name)
            await asyncio.sleep(0.25)


@dataclass
class Naive:
    """The naive way: the age of a node's last entry alone."""

    rig: Rig
    heard: dict[str, float] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Read the same stream; judge four times a second."""
        stream = RedisStatusStream(self.rig.stack.redis_url)
        cursor = EntryId.ZERO
        async with asyncio.TaskGroup() as group:
            group.create_task(self._judge())
            while True:
                try:
                    for entry in await stream.read(cursor, block=1.0):
                        cursor = entry.id
                        self.heard[entry.node_id] = CLOCK.monotonic()
                except StreamError:
                    await asyncio.sleep(0.25)

    async def _judge(self) -> None:
        while True:
            now, timeout = CLOCK.monotonic(), self.rig.policy.timeout
            self.told |= {node for node, at in self.heard.items() if now - at > timeout}
            await asyncio.sleep(0.25)


async def kills(bench: Bench, scale: Scale) -> list[float]:
    """Kill agents, wave after wave; give the times until their objects say Offline."""
    times: list[float] = []
    async with Rig(scale.policy, scale.fleet) as rig, asyncio.TaskGroup() as group:
        rig.speak(group)
        names = [f"victim-{number:02d}" for number in range(scale.victims)]
        for wave in range(scale.waves):
            for name in names:
                await rig.start_agent(name)
            await rig.all_online(scale.fleet + scale.victims, timeout=120)
            bench.say(f"kills: wave {wave + 1} of {scale.waves}, {scale.victims} will die")
            times += await _wave(rig, names, scale.policy)
        rig.end_background()
    told = sum(time < float("inf") for time in times)
    bench.say(f"kills: {told} of {len(times)} were told")
    return times


async def _wave(rig: Rig, names: list[str], policy: Policy) -> list[float]:
    killed: dict[str, float] = {}
    found: dict[str, float] = {}
    async with asyncio.TaskGroup() as group:
        group.create_task(_kill_all(rig, names, killed, policy.interval / 8))
        deadline = CLOCK.monotonic() + policy.timeout + len(names) * 2 + 10
        while len(found) < len(names) and CLOCK.monotonic() < deadline:
            for name, state in (await rig.states()).items():
                # An object of the wave before says Offline until its new agent is heard.
                if state == "Offline" and name in killed and name not in found:
                    found[name] = CLOCK.monotonic()
            await asyncio.sleep(0.1)
    return [found.get(name, float("inf")) - killed[name] for name in names]


async def _kill_all(rig: Rig, names: list[str], killed: dict[str, float], pause: float) -> None:
    for name in names:
        await rig.agents[name].kill()
        killed[name] = CLOCK.monotonic()
        await asyncio.sleep(pause)


async def stream(bench: Bench, scale: Scale) -> tuple[int, int]:
    """Stop Valkey, and end it with all data lost; give false alarms, ours and the naive way's."""
    async with Rig(scale.policy, scale.fleet) as rig, asyncio.TaskGroup() as group:
        alarms, naive = FalseAlarms(rig), Naive(rig)
        rig.speak(group)
        for number in range(AGENTS):
            await rig.start_agent(f"agent-{number}")
        await rig.all_online(scale.fleet + AGENTS)
        rig.watch(group, alarms.run())
        rig.watch(group, naive.run())
        await asyncio.sleep(scale.policy.interval)
        bench.say(f"stream: Valkey hangs for {scale.stop:g} s")
        await rig.stack.valkey.pause()
        await asyncio.sleep(scale.stop)
        await rig.stack.valkey.resume()
        if not bench.quick:
            await asyncio.sleep(scale.policy.timeout)
            bench.say(f"stream: Valkey is ended, all data is lost, back in {scale.stop:g} s")
            await rig.stack.valkey.stop()
            await asyncio.sleep(scale.stop)
            await rig.stack.valkey.start()
        await asyncio.sleep(scale.policy.timeout + SLACK)
        await rig.all_online(scale.fleet + AGENTS)
        rig.end_background()
    return len(alarms.told), len(naive.told)


async def control(bench: Bench, scale: Scale) -> tuple[int, int]:
    """Stop the API server, then restart the operator often; give the false alarms of each."""
    async with Rig(scale.policy, scale.fleet) as rig, asyncio.TaskGroup() as group:
        alarms = FalseAlarms(rig)
        rig.speak(group)
        await rig.all_online(scale.fleet)
        rig.watch(group, alarms.run())
        bench.say(f"control: the API server hangs for {scale.stop:g} s")
        await rig.stack.kube.pause()
        await asyncio.sleep(scale.stop)
        await rig.stack.kube.resume()
        await asyncio.sleep(5 if bench.quick else scale.policy.timeout)
        stopped = len(alarms.told)
        bench.say(f"control: the operator is killed and restarted {scale.restarts} times")
        for _ in range(scale.restarts):
            await rig.restart_operator()
            await asyncio.sleep(2.5)
        await asyncio.sleep(scale.policy.timeout / (2 if bench.quick else 1))
        await rig.all_online(scale.fleet)
        rig.end_background()
    return stopped, len(alarms.told) - stopped


async def measure(bench: Bench) -> None:
    """Run the rigs side by side and record the figures."""
    scale = QUICK if bench.quick else FULL
    async with asyncio.TaskGroup() as group:
        detections = group.create_task(kills(bench, scale))
        outage = group.create_task(stream(bench, scale))
        restarts = group.create_task(control(bench, scale))
    policy, times = scale.policy, sorted(detections.result())
    first, last = policy.timeout - policy.interval, policy.timeout + SLACK
    bench.inform("failure timeout", policy.timeout, "s")
    bench.inform("kills", len(times), "agents")
    bench.at_least("detection, soonest", times[0], "s", target=first)
    bench.at_most("detection, p50", statistics.median(times), "s", target=last)
    bench.at_most("detection, p99", _p99(times), "s", target=last)
    bench.at_most("detection, latest", times[-1], "s", target=last)
    told, naive = outage.result()
    bench.at_most("false Offline, stream away", told, "nodes", target=0, naive=naive)
    stopped, restarted = restarts.result()
    bench.at_most("false Offline, API server away", stopped, "nodes", target=0)
    bench.at_most("false Offline, operator restarted", restarted, "nodes", target=0)
    ranks = [100 * (index + 1) / len(times) for index in range(len(times))]
    lines = {"kill -9 until Offline": (times, ranks)}
    bench.curve(Curve("Detection after kill -9", "seconds", "% of kills", lines))


def _p99(times: list[float]) -> float:
    return times[min(len(times) - 1, round(0.99 * (len(times) - 1)))]


def main() -> int:
    """Run the benchmark."""
    bench = Bench("liveness", "Dead nodes told in time, living ones never")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

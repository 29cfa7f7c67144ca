"""What a steady fleet leaves behind in etcd: the slope of what is in use after compactions.

1,000 nodes at 30 s with steady load, beside each other on two stacks: one with the operator, one
with an operator that writes each heartbeat. etcd's history is compacted each minute; what is in
use is taken just after, so that the slope tells what stays. Both are followed once each object
has been written anew by the one that runs: what was made beforehand is a little smaller.
"""

import asyncio
import re
import statistics
import sys
from dataclasses import dataclass, field

import aiohttp

from bench._rig import CLOCK
from bench._scale import Scale, naive_operator, speaking
from bench.figures import Bench, Curve
from citadel_k8s.domain.liveness import Policy
from citadel_k8s.domain.reconcile import REFRESH_GAP

HOUR = 3600.0
MB = 1e6

IN_USE = "etcd_mvcc_db_total_size_in_use_in_bytes"
COMPACTED = "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count"
RECEIVED = "etcd_network_client_grpc_received_bytes_total"

SETTLED = 2
"""Compactions before which a slope tells of the start."""

PAUSE = 1.0
"""Seconds between two looks at etcd."""


@dataclass(frozen=True)
class Size:
    """How much is done: nodes, seconds until each is written anew, and between compactions."""

    nodes: int
    renewal: float
    compaction: float
    rounds: int


FULL = Size(nodes=1000, renewal=REFRESH_GAP, compaction=60, rounds=15)
QUICK = Size(nodes=60, renewal=0, compaction=4, rounds=3)


@dataclass
class Trace:
    """What etcd told: seconds, bytes in use, compactions so far, bytes received."""

    moments: list[float] = field(default_factory=list)
    in_use: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)
    received: list[float] = field(default_factory=list)

    def floors(self) -> tuple[list[float], list[float]]:
        """Give the least in use between two compactions each, after those that settle.

        The last round is left out: it has only begun, and etcd counts a compaction before it has
        freed anything.
        """
        first, last = self.rounds[0] + SETTLED, self.rounds[-1]
        lowest: dict[float, tuple[float, float]] = {}
        for moment, size, number in zip(self.moments, self.in_use, self.rounds, strict=True):
            fits = first <= number < last
            if fits and (number not in lowest or size < lowest[number][1]):
                lowest[number] = (moment, size)
        found = list(lowest.values())
        return [moment for moment, _ in found], [size for _, size in found]

    def slope(self) -> float:
        """Give the growth of the floors, MB/h: the median of all pairs' slopes (Theil and Sen)."""
        moments, sizes = self.floors()
        points = list(zip(moments, sizes, strict=True))
        slopes = [
            (b[1] - a[1]) / (b[0] - a[0])
            for index, a in enumerate(points)
            for b in points[index + 1 :]
        ]
        return statistics.median(slopes) * HOUR / MB if slopes else float("nan")

    def traffic(self) -> float:
        """Give what the API server sent to etcd, MB/h."""
        took = self.moments[-1] - self.moments[0]
        return (self.received[-1] - self.received[0]) / took * HOUR / MB


async def look(scale: Scale, trace: Trace) -> None:
    """Ask etcd once."""
    async with aiohttp.request("GET", scale.stack.kube.etcd_metrics_url) as answer:
        text = await answer.text()
    values = [
        float(found[1]) if (found := re.search(rf"^{name} (\S+)", text, re.MULTILINE)) else 0.0
        for name in (IN_USE, COMPACTED, RECEIVED)
    ]
    trace.moments.append(CLOCK.monotonic())
    for series, value in zip((trace.in_use, trace.rounds, trace.received), values, strict=True):
        series.append(value)


async def follow(scale: Scale, size: Size) -> Trace:
    """Look until enough compactions have passed, or long after they should have."""
    trace = Trace()
    end = CLOCK.monotonic() + (SETTLED + size.rounds + 2) * size.compaction
    await look(scale, trace)
    while trace.rounds[-1] < trace.rounds[0] + SETTLED + size.rounds and CLOCK.monotonic() < end:
        await asyncio.sleep(PAUSE)
        await look(scale, trace)
    return trace


async def ours(bench: Bench, size: Size) -> tuple[Trace, float]:
    """Follow etcd under the operator; give the writes per heartbeat too."""
    async with Scale(Policy(), size.nodes, changing=False, compaction=size.compaction) as scale:
        await scale.seed()
        async with speaking(scale):
            await scale.settled(size.nodes)
            bench.say(f"ours: {size.nodes} nodes are Online")
            await asyncio.sleep(size.renewal)
            writes, sent = await scale.writes(), scale.fleet.sent
            trace = await follow(scale, size)
            heartbeats = max(1, scale.fleet.sent - sent)
            return trace, (await scale.writes() - writes) / heartbeats


async def naive(bench: Bench, size: Size) -> Trace:
    """Follow etcd under an operator that writes each heartbeat."""
    async with Scale(Policy(), size.nodes, changing=False, compaction=size.compaction) as scale:
        await scale.seed()
        async with naive_operator(scale), asyncio.TaskGroup() as group:
            scale.beside(group, scale.fleet.run())
            bench.say("naive: each heartbeat is written")
            await asyncio.sleep(size.renewal)
            trace = await follow(scale, size)
            scale.end_background()
        return trace


async def measure(bench: Bench) -> None:
    """Run both side by side and record the figures."""
    size = QUICK if bench.quick else FULL
    async with asyncio.TaskGroup() as group:
        first = group.create_task(ours(bench, size))
        second = group.create_task(naive(bench, size))
    (trace, per_heartbeat), other = first.result(), second.result()
    for word, each in (("ours", trace), ("naive", other)):
        floors = " ".join(f"{used / MB:.2f}" for used in each.floors()[1])
        bench.say(f"{word}: MB in use after each compaction: {floors}")
    if bench.quick:  # too short for a slope
        bench.inform("growth of etcd", trace.slope(), "MB/h", naive=other.slope())
        bench.inform("writes", per_heartbeat, "per heartbeat", naive=1)
    else:
        bench.at_most("growth of etcd", trace.slope(), "MB/h", target=1, naive=other.slope())
        bench.at_most("writes", per_heartbeat, "per heartbeat", target=0.125, naive=1)
    bench.inform("sent to etcd", trace.traffic(), "MB/h", naive=other.traffic())
    bench.inform("in use", trace.floors()[1][-1] / MB, "MB", naive=other.floors()[1][-1] / MB)
    lines = {
        word: ([m - t.moments[0] for m in t.moments], [used / MB for used in t.in_use])
        for word, t in (("operator", trace), ("a write per heartbeat", other))
    }
    bench.curve(Curve(f"etcd under {size.nodes} steady nodes", "seconds", "MB in use", lines))


def main() -> int:
    """Run the benchmark."""
    bench = Bench("etcd_growth", "What a steady fleet leaves in etcd")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

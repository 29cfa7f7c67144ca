"""What a visitor gets: the first table, bytes, smooth frames, and a page that does not grow.

A thousand nodes of eight GPUs speak each 30 s to a real worker; the API is a process, the page its
own build, the browser a real Chromium with an empty cache. Beside it, in the same run and browser,
the naive page of `bench._page_naive`: it asks for the list each 2 s and writes the table anew.

Updates of an hour are sent as fast as the page takes them. The page keeps the last half hour of the
nodes in sight, so that its heap fills in the first half; in the second it is to be flat. Heap is
what is left after the garbage was collected.
"""

import asyncio
import gzip
import statistics
import sys
from collections.abc import Sequence
from typing import Final

from bench._page_naive import PATH
from bench._page_probe import Frames, frames, heap, quantile
from bench._page_rig import INTERVAL, NODES, Looked, Rig, rig
from bench.figures import Bench, Curve

LOADS, QUICK_LOADS = 7, 2
FRAME_SECONDS, QUICK_FRAME_SECONDS = 30.0, 4.0
PROBES, QUICK_PROBES = 40, 5
HALF_HOUR: Final = round(1800 * NODES / INTERVAL)
"""Updates that thirty minutes bring."""

QUICK_UPDATES: Final = 2400
RATE: Final = 800.0
"""Updates a second where time is run fast: 24 times the fleet's own pace."""

SAMPLES, QUICK_SAMPLES = 12, 3
"""Looks at the heap; a third of them before, a third after the middle."""

CAUGHT_UP: Final = 2.0
"""Seconds after which what was sent is drawn: what still waits to be is no growth."""

PROBED: Final = 8
"""Nodes whose changes are waited for; they are at the top of the table."""

SETTLED: Final = 3.0
"""Seconds after which all that comes with a load has come, and the fleet is at its own pace."""

SEEN_MS: Final = 6000
"""Milliseconds after which a change counts as never painted: three times what the naive way
takes."""

PAGE_BYTES: Final = 45_000.0
TABLE_MS: Final = 1000.0
FRAME_MS: Final = 32.0
CHANGE_MS: Final = 1000.0
NODE_BYTES: Final = 400.0
GROWTH: Final = 5.0

OURS: Final = '[data-testid="node-row"]'
THEIRS: Final = "tr[data-node]"
SCREENFUL: Final = 12
"""Rows that fill the window; the page draws those that are seen and a few more."""


async def loads(bench: Bench, one: Rig) -> None:
    """Measure first loads."""
    ours: list[float] = []
    naive: list[float] = []
    page_bytes = data = 0
    for _ in range(QUICK_LOADS if bench.quick else LOADS):
        async with one.look() as looked:
            ours.append(await looked.page.evaluate(f"__probe.table('{OURS}', {SCREENFUL})"))
            await looked.page.wait_for_timeout(700)
            page_bytes = looked.wire.total(api=False)
            data = looked.wire.bytes["/api/fabric/nodes"]
        async with one.look(PATH) as looked:
            naive.append(await looked.page.evaluate(f"__probe.table('{THEIRS}', {NODES})"))
    bench.at_most(
        "navigation to first table, 1,000 nodes, usual",
        statistics.median(ours),
        "ms",
        TABLE_MS,
        naive=statistics.median(naive),
    )
    bench.inform("navigation to first table, slowest", max(ours), "ms", naive=max(naive))
    bench.at_most("the page at first load, as sent", page_bytes, "bytes", PAGE_BYTES)
    bench.at_most("a node of the first list, as sent", data / NODES, "bytes", NODE_BYTES)
    plain = await _plain(one)
    bench.inform("a node of the list, unpacked", len(plain) / NODES, "bytes")
    bench.inform("a node of the list, packed again", len(gzip.compress(plain)) / NODES, "bytes")


async def _plain(one: Rig) -> bytes:
    async with one.look() as looked:
        answer = await looked.page.request.get(f"{one.url}/api/fabric/nodes?limit=5000")
        return await answer.body()


async def moving(bench: Bench, one: Rig) -> None:
    """Measure frames and the age of changes while the whole fleet speaks."""
    async with one.look() as ours, one.look(PATH) as naive:
        await ours.page.evaluate(f"__probe.table('{OURS}', {SCREENFUL})")
        # One at a time: two pages would take frames from one another.
        await naive.page.goto("about:blank")
        seen, sent = await smooth(bench, ours)
        waited = await changes(bench, one, ours, f'{OURS}[data-node="%s"]')
        await ours.page.goto("about:blank")
        await naive.page.goto(one.url + PATH)
        await naive.page.evaluate(f"__probe.table('{THEIRS}', {NODES})")
        other, wasted = await smooth(bench, naive)
        late = await changes(bench, one, naive, '[data-node="%s"]')
    bench.inform("the API's bytes to a page in a minute", sent, "kB", naive=wasted)
    tell(bench, seen, other, waited, late)


async def smooth(bench: Bench, looked: Looked) -> tuple[Frames, float]:
    """Watch frames, and the kB that a minute brings."""
    seconds = QUICK_FRAME_SECONDS if bench.quick else FRAME_SECONDS
    bench.say(f"frames for {seconds:g} s, {NODES / INTERVAL:.0f} updates/s")
    await asyncio.sleep(SETTLED)
    before = looked.wire.total(api=True)
    seen = await frames(looked.page, looked.cdp, seconds)
    return seen, (looked.wire.total(api=True) - before) * 60 / seen.seconds / 1000


async def changes(bench: Bench, one: Rig, looked: Looked, selector: str) -> list[float]:
    """Measure from publishing heartbeats to their pixels, in ms."""
    took: list[float] = []
    for number in range(QUICK_PROBES if bench.quick else PROBES):
        node = one.fleet.nodes[number % PROBED]
        util = one.another()
        place = selector % node.node_id
        waiting = looked.page.evaluate(
            "([place, text, limit]) => __probe.seen(place, text, limit)",
            [place, f"8/8 busy, {util} %", SEEN_MS],
        )
        async with asyncio.TaskGroup() as group:
            painted = group.create_task(_awaited(waiting))
            await asyncio.sleep(0.05)
            at = await one.beat(node, util)
        moment = painted.result()
        took.append(float("inf") if moment is None else moment - 1000 * at)
        await asyncio.sleep(0.13)
    return took


async def _awaited(waiting: object) -> float | None:
    return await waiting  # type: ignore[misc]


def tell(
    bench: Bench, seen: Frames, other: Frames, took: Sequence[float], late: Sequence[float]
) -> None:
    """Record the figures of a page that moves."""
    bench.at_most("frame while 33 updates/s arrive, p95", seen.p95, "ms", FRAME_MS, other.p95)
    bench.inform("frame while 33 updates/s arrive, longest", seen.longest, "ms", other.longest)
    bench.inform("time lost in frames over 50 ms", seen.lost, "ms a minute", other.lost)
    bench.inform("CPU of the main thread, of a core", seen.load, "%", other.load)
    bench.at_most(
        "heartbeat published to pixels, p95",
        quantile(took, 0.95),
        "ms",
        CHANGE_MS,
        naive=quantile(late, 0.95),
    )
    bench.inform(
        "heartbeat published to pixels, usual",
        statistics.median(took),
        "ms",
        naive=statistics.median(late),
    )
    shares = [n / 100 for n in range(1, 100)]
    lines = {
        "page": (shares, [quantile(took, n) for n in shares]),
        "naive": (shares, [quantile(late, n) for n in shares]),
    }
    bench.curve(Curve("Heartbeat published to pixels", "share of all", "ms", lines, CHANGE_MS))


async def lasting(bench: Bench, one: Rig) -> None:
    """Measure what the page holds in the course of half an hour of updates, after another one."""
    updates = QUICK_UPDATES if bench.quick else HALF_HOUR
    samples = QUICK_SAMPLES if bench.quick else SAMPLES
    minutes = updates * INTERVAL / NODES / 60
    held: list[float] = []
    async with one.look() as looked:
        await looked.page.evaluate(f"__probe.table('{OURS}', {SCREENFUL})")
        for number in range(2 * samples):
            # In a quick run nothing grows old, and so nothing has to fill first.
            took = await one.hurry(round(updates / samples), RATE, aging=not bench.quick)
            await asyncio.sleep(0.5 if bench.quick else CAUGHT_UP)
            held.append(await heap(looked.cdp))
            bench.say(f"{held[-1]:.2f} MiB after part {number + 1} of {2 * samples}, {took:.1f} s")
        received = looked.wire.bytes.get("/api/fabric/events", 0)
        lists = list(looked.wire.paths.values()).count("/api/fabric/nodes")
    if lists > 1:
        bench.say(f"the list was read {lists} times: the page could not follow")
    third, second = max(1, samples // 3), held[samples:]
    first, last = statistics.mean(second[:third]), statistics.mean(second[-third:])
    name = f"growth of the heap over {minutes:.0f} min of updates"
    bench.at_most(name, 100 * (last - first) / first, "%", GROWTH)
    bench.inform("heap after all updates", held[-1], "MiB")
    bench.inform("bytes received for an update", received / (2 * updates), "bytes")
    xs = [minutes * (number + 1) / samples for number in range(2 * samples)]
    bench.curve(Curve("Heap after garbage", "minutes of updates", "MiB", {"page": (xs, held)}))


async def measure(bench: Bench) -> None:
    """Run the parts one after another."""
    async with rig() as one:
        bench.say(f"{NODES} nodes are there")
        await loads(bench, one)
        async with asyncio.TaskGroup() as group:
            for node in one.fleet.nodes[:PROBED]:
                node.speaking = False  # they say what is waited for, and nothing else
            speaking = group.create_task(one.fleet.run())
            await moving(bench, one)
            speaking.cancel()
        async with asyncio.TaskGroup() as group:
            for node in one.fleet.nodes:
                node.speaking = True  # or the worker takes them for dead, and rows come and go
            speaking = group.create_task(one.fleet.run())
            await lasting(bench, one)
            speaking.cancel()


def main() -> int:
    """Run the benchmark."""
    bench = Bench("page", "What a visitor of the page gets")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

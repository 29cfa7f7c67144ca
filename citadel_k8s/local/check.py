"""``demo --check``: the demo's story without a terminal, as a test that says what failed."""

import asyncio
from typing import Final

from citadel_k8s.errors import StackError
from citadel_k8s.local.controlcheck import ControlCheck
from citadel_k8s.local.demo import POLICY, Demo, DemoNode, Report, objects_of

ONLINE_TIMEOUT: Final = 60.0
"""Seconds until all nodes must be Online: six Python processes on two busy cores take about 10."""

SLACK: Final = 5.0
"""Seconds beyond the failure timeout until the table must say so. ``bench/liveness.py`` measures
the time itself."""

POLL: Final = 0.25
"""Seconds between two looks at the objects."""


async def check(demo: Demo, report: Report, show: Report) -> None:
    """Run through the story: all Online, one killed, Offline in time, revived, Online.

    The cluster's table and the API have to tell the same, and the API what nodes say themselves.

    Parameters
    ----------
    demo : Demo
        Running.
    report, show : callable
        Told of progress; given the tables.

    Raises
    ------
    StackError
        What did not come to pass.
    """
    server = ControlCheck(demo.control)
    try:
        await _story(demo, server, report, show)
    finally:
        await server.close()


async def _story(demo: Demo, server: ControlCheck, report: Report, show: Report) -> None:
    victim = demo.nodes[-1]
    ids = {node.name for node in demo.nodes}
    names = sorted(objects_of(demo))
    await _until(demo, dict.fromkeys(names, "Online"), ONLINE_TIMEOUT)
    report(f"all {len(names)} nodes are Online")
    show(await demo.kubectl("get", "fabricnodes"))

    await server.states(dict.fromkeys(ids, "Online"))
    await server.stored(ids)
    report(f"PostgreSQL has all {len(ids)} rows, and the API tells the same states")
    seconds = {node_id: await server.live(node_id) for node_id in sorted(ids)}
    slowest = max(seconds, key=lambda node_id: seconds[node_id])
    report(f"all nodes answered live, {slowest} last, in {seconds[slowest] * 1000:.0f} ms")
    report(f"the page is there: {await server.page() / 1000:.0f} kB, its script among them")
    report(f"the stream of changes told of {await server.change()}")

    report(f"kill -9 the agent of {victim.name}; it has {POLICY.timeout:g} s to be missed")
    killed = demo.clock.monotonic()
    await demo.kill(victim)
    states = dict.fromkeys(names, "Online") | {_object(demo, victim): "Offline"}
    await _until(demo, states, POLICY.timeout + SLACK)
    took = demo.clock.monotonic() - killed
    report(f"{victim.name} is Offline after {took:.1f} s")
    await server.states(dict.fromkeys(ids, "Online") | {victim.name: "Offline"})
    report("the API says so too")
    if took < POLICY.timeout - POLICY.interval - POLL:
        raise StackError(f"Offline after {took:.1f} s: sooner than a silence can be told")
    show(await demo.kubectl("get", "fabricnodes"))

    report(f"revive {victim.name}")
    await demo.revive(victim)
    await _until(demo, dict.fromkeys(names, "Online"), ONLINE_TIMEOUT)
    await server.states(dict.fromkeys(ids, "Online"))
    report(f"all {len(names)} nodes are Online, by the API too")
    show(await demo.kubectl("get", "fabricnodes"))

    report(f"what was told of {victim.name}, and how heartbeats arrive")
    about = f"involvedObject.name={_object(demo, victim)}"
    show(await demo.kubectl("get", "events", "--sort-by=.lastTimestamp", "--field-selector", about))
    show(await demo.kubectl("get", "fabricstatus"))


async def _until(demo: Demo, wanted: dict[str, str], timeout: float) -> None:
    began = demo.clock.monotonic()
    found: dict[str, str] = {}
    while demo.clock.monotonic() - began < timeout:
        found = {
            raw["metadata"]["name"]: raw.get("status", {}).get("state", "no status")
            for raw in await demo.objects()
        }
        if found == wanted:
            return
        if dead := demo.dead_parts():
            raise StackError("\n".join(dead))
        await asyncio.sleep(POLL)
    differing = ", ".join(
        f"{name} is {found.get(name, 'missing')} instead of {wanted.get(name, 'absent')}"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    )
    raise StackError(f"after {timeout:g} s: {differing}\n{demo.logs()}")


def _object(demo: Demo, node: DemoNode) -> str:
    return next(name for name, known in objects_of(demo).items() if known is node)

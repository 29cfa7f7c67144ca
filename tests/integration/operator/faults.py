"""A life behind a proxy: an API server that refuses, stalls, cuts off and talks nonsense.

In each act one node dies while the trouble lasts, and comes back after it.
"""

import asyncio
import re
from typing import Any

from tests.faultproxy import HTML, READS, WRITES, Fault
from tests.integration.operator.lives import Life, Saw, Scene
from tests.integration.operator.odd import ODD
from tests.integration.operator.rig import CLOCK, INTERVAL, SWIFT, T_FAILURE, Speaker, until

OBJECTS = "fabricnodes"
MORTALS = ("refused", "throttled", "failed", "stalled", "severed")
TOLD = {
    "watch_failing", "watch_ended", "watch_broken", "cannot_list_objects", "sweep_failed",
    "write_failing",
}  # fmt: skip
"""Lines about a trouble; each has another, with ``_recovered``, for its end."""

LASTS = 6.0
"""Seconds that each trouble lasts at the least."""

RETRY_AFTER = 5
"""Seconds that the server asks for."""


async def speaks(scene: Scene) -> Saw:
    """Some nodes are Online before anything happens."""
    scene.speakers = scene.nodes.add_all("behind", 3)
    scene.mortals = {name: scene.nodes.add(name) for name in MORTALS}
    everybody = [*scene.speakers, *scene.mortals.values()]
    await until("all are Online", lambda: scene.recorder.all_in(everybody, "Online"))
    await scene.operator.ready()
    await asyncio.sleep(INTERVAL)
    scene.died = scene.mortals[MORTALS[0]].fall_silent()  # its time runs while others act
    return Saw()


async def in_trouble(scene: Scene, victim: str, *faults: Fault, also: Any = None) -> Saw:
    """Let a node die amid faults; look at the operator then, and at what comes after."""
    proxy, recorder, operator = scene.proxy, scene.recorder, scene.operator
    node, lines = scene.mortals[victim], len(operator.lines())
    died = scene.died or node.fall_silent()
    if await operator.verdict(victim) == "Offline":  # the act before took long to recover
        # Another one: this would change too often, and be written late.
        node = scene.mortals[victim] = scene.nodes.add(f"{victim}-too")
        victim = node.node.node_id
        await recorder.reached(victim, "Online")
        died = node.fall_silent()
    began, told_at = proxy.tell(*faults), CLOCK.monotonic()
    done = await also(scene) if also else None

    async def is_known() -> bool:
        return await operator.verdict(victim) == "Offline"

    await until("it is known", is_known)
    # By the operator's own word: this process may be late itself on a busy machine.
    known = max(silences(operator.lines("transition"), victim))
    await until("it is not ready", lambda: is_unready(scene), 15)
    await asyncio.sleep(LASTS - (CLOCK.monotonic() - told_at))
    await until("it is not ready", lambda: is_unready(scene), 15)
    unready = CLOCK.monotonic() - died
    ready, live = await operator.probe("/readyz"), await operator.probe("/healthz")
    others = [await operator.verdict(s.node.node_id) for s in scene.speakers]
    asked_for = proxy.forgive()
    over = CLOCK.monotonic()
    scene.died = next_dies(
        scene, victim.removesuffix("-too")
    )  # its time runs while this one recovers
    told = await recorder.reached(victim, "Offline", died) - over
    await operator.ready()
    recovered = CLOCK.monotonic() - over
    await node.come_back()
    await recorder.reached(victim, "Online", over)
    return Saw(
        known=known, unready=unready, ready=ready, live=live, others=others, told=told,
        recovered=recovered,
        began=began, over=asked_for, done=done, lines=operator.lines()[lines:],
        offline=offline_since(scene, died), running=operator.charge.running,
        asked=[a for a in proxy.asked if began <= a.at <= asked_for],
    )  # fmt: skip


def silences(lines: list[dict[str, Any]], victim: str) -> list[int]:
    """Give after how many seconds of silence a node was called Offline."""
    said = [line for line in lines if line["node"] == victim and line["state"] == "Offline"]
    return [int(n) for line in said for n in re.findall(r"heartbeat for (\d+) s", line["message"])]


def next_dies(scene: Scene, victim: str) -> float:
    following = MORTALS[MORTALS.index(victim.removesuffix("-too")) + 1 :]
    return scene.mortals[following[0]].fall_silent() if following else 0.0


async def is_unready(scene: Scene) -> bool:
    return (await scene.operator.get("/readyz"))[0] == 503


def offline_since(scene: Scene, moment: float) -> list[str]:
    events = scene.recorder.events
    found = {e.name for e in events if e.at > moment and e.state == "Offline"}
    return sorted(n for n in found if n.removesuffix("-too") not in {*MORTALS, "odd-orphan"})


async def is_refused_reading(scene: Scene) -> Saw:
    """410 to LIST and WATCH, also in the middle of a watch; an object is deleted meanwhile."""

    async def deletes(scene: Scene) -> tuple[dict[str, Any], float]:
        before = scene.recorder.last("behind-0")
        await scene.proxy.end_watches(OBJECTS, 410)
        await scene.kubectl("delete", "fnode", "behind-0")
        return before, CLOCK.monotonic()

    fault = Fault({"LIST", "WATCH"}, {OBJECTS, "nodes"}, status=410)
    seen = await in_trouble(scene, "refused", fault, also=deletes)
    seen.before, deleted = seen.done
    await scene.recorder.reached("behind-0", "Online", deleted)
    seen.after = scene.recorder.last("behind-0")
    return seen


async def is_throttled(scene: Scene) -> Saw:
    """429 to everything, with a time to wait."""
    await scene.proxy.end_watches(OBJECTS)
    headers = {"Retry-After": str(RETRY_AFTER)}
    return await in_trouble(scene, "throttled", Fault(status=429, headers=headers))


async def is_failed(scene: Scene) -> Saw:
    """500 to what creates, 503 and HTML to what patches, half a JSON to what lists."""
    return await in_trouble(
        scene, "failed",
        Fault({"POST"}, status=500),
        Fault({"PATCH", "PUT"}, status=502, body=HTML),
        Fault({"LIST"}, truncate=100),
        also=cuts_watches,
    )  # fmt: skip


async def cuts_watches(scene: Scene) -> None:
    await scene.proxy.end_watches(OBJECTS)


async def is_stalled(scene: Scene) -> Saw:
    """Connections are taken and nothing is answered; then all goes on where it stood."""
    return await in_trouble(scene, "stalled", Fault(stall=True))


async def is_severed(scene: Scene) -> Saw:
    """Each answer ends in the middle: watches after their first bytes, the others half said."""
    return await in_trouble(
        scene, "severed",
        Fault({"WATCH"}, cut=0),
        Fault(READS | WRITES, {OBJECTS}, cut=200),
        also=cuts_watches,
    )  # fmt: skip


async def is_misled(scene: Scene) -> Saw:
    """A watch says that its version is too old; an object is deleted before the next LIST."""
    proxy, recorder = scene.proxy, scene.recorder
    await scene.operator.ready()
    before = recorder.last("behind-1")
    lines = len(scene.operator.lines())
    began = proxy.tell(Fault({"LIST", "WATCH"}, {OBJECTS}, delay=2.0))
    ended = await until("a watch is open", lambda: proxy.end_watches(OBJECTS, 410))
    await scene.kubectl("delete", "fnode", "behind-1")
    deleted = CLOCK.monotonic()
    over = proxy.forgive()
    await recorder.reached("behind-1", "Online", deleted)
    return Saw(
        ended=ended, before=before, after=recorder.last("behind-1"), began=began, over=over,
        seconds=CLOCK.monotonic() - deleted, lines=scene.operator.lines()[lines:],
    )  # fmt: skip


def unrecovered(lines: list[dict[str, Any]]) -> set[str]:
    """Give the troubles that have begun and not ended, by the log."""
    going: set[str] = set()
    for event in (line["event"] for line in lines):
        if event in TOLD:
            going.add(event)
        going.discard(event.removesuffix("_recovered") if event.endswith("_recovered") else "")
    return going


async def is_well_again(scene: Scene) -> Saw:
    """After all of that."""
    await scene.operator.ready()
    await until("all is told to be over", lambda: not unrecovered(scene.operator.lines()))
    began = CLOCK.monotonic()
    since = asyncio.get_running_loop().time()
    await asyncio.sleep(INTERVAL)
    everybody: list[Speaker] = [*scene.speakers, *scene.mortals.values()]
    return Saw(
        all_online=scene.recorder.all_in(everybody, "Online"),
        offline=[e.name for e in scene.recorder.events if e.at > began and e.state == "Offline"],
        writes=sum(a.verb in WRITES for a in scene.proxy.asked if a.at > since),
        lines=scene.operator.lines(), timeout=T_FAILURE,
    )  # fmt: skip


FAULTS = Life(
    "faults",
    [[speaks, *ODD], *([act] for act in (
        is_refused_reading, is_throttled, is_failed, is_stalled, is_severed, is_misled,
        is_well_again,
    ))],
    proxied=True,
    program=SWIFT,
)  # fmt: skip

"""A life that begins without definitions, loses its API server and starts with nothing there."""

import asyncio

from tests.integration.operator.lives import Life, Saw, Scene
from tests.integration.operator.rig import (
    CLOCK,
    T_FAILURE,
    Operator,
    install,
    until,
)

LOOK = 3.0
"""Seconds in which an operator that waits is watched."""


async def looked_at(operator: Operator) -> Saw:
    """Look at an operator that has to wait."""
    await until("it serves", lambda: operator.lines("serving"))
    await asyncio.sleep(LOOK)
    live, ready = await operator.probe("/healthz"), await operator.probe("/readyz")
    return Saw(live=live, ready=ready, lines=operator.lines())


async def has_no_definitions(scene: Scene) -> Saw:
    """The CRDs are installed after the operator."""
    seen = await looked_at(scene.operator)
    scene.nodes.add("first")
    scene.nodes.add("second")
    await install(scene.stack, "crds")
    await scene.recorder.reached("first", "Online")
    await scene.operator.ready()
    # Only a watch tells that an object is gone.
    await scene.recorder.remade("first", scene.kubectl("delete", "fnode", "first"))
    return seen


async def loses_definitions(scene: Scene) -> Saw:
    """The CRDs are deleted, with all objects, and installed again."""
    name = "customresourcedefinitions/fabricnodes.fabric.aceteam.ai"
    await scene.kubectl("delete", name)
    await asyncio.sleep(2)
    before = len(scene.operator.lines())
    back = CLOCK.monotonic()
    await install(scene.stack, "crds")
    await scene.recorder.reached("first", "Online", back)
    await scene.recorder.reached("second", "Online", back)
    await scene.operator.ready()
    await scene.recorder.remade("second", scene.kubectl("delete", "fnode", "second"))
    return Saw(lines=scene.operator.lines()[:before])


async def loses_the_api(scene: Scene) -> Saw:
    """A node dies while the API server hangs first, and is gone then."""
    victim = scene.nodes.add("third")
    await scene.recorder.reached("third", "Online")
    await scene.stack.kube.pause()
    died = victim.fall_silent()
    await asyncio.sleep(T_FAILURE / 2)
    await scene.stack.kube.stop()

    async def is_known() -> bool:
        return await scene.operator.verdict("third") == "Offline"

    await until("it is known", is_known)
    known = CLOCK.monotonic() - died
    await asyncio.sleep(1)
    ready, live = await scene.operator.probe("/readyz"), await scene.operator.probe("/healthz")
    others = [await scene.operator.verdict(name) for name in ("first", "second")]
    await scene.stack.kube.start()
    back = CLOCK.monotonic()
    told = await scene.recorder.reached("third", "Offline", died) - back
    await scene.operator.ready()
    await until("every trouble is told to be over", lambda: not open_troubles(scene.operator))
    return Saw(
        known=known, ready=ready, live=live, others=others, told=told,
        states={name: scene.recorder.state(name) for name in ("first", "second")},
        lines=scene.operator.lines(), running=scene.operator.charge.running,
    )  # fmt: skip


def open_troubles(operator: Operator) -> set[str]:
    """Give what was told to be failing and not to be over."""
    events = {line["event"] for line in operator.lines()}
    failing = {event for event in events if event.endswith("_failing")}
    return {event for event in failing if f"{event}_recovered" not in events}


async def starts_with_nothing(scene: Scene) -> Saw:
    """An operator starts while the API server is down, then while Valkey is."""
    await scene.operator.kill()
    await scene.stack.kube.stop()
    await scene.operator.start()
    api = await looked_at(scene.operator)
    await scene.valkey.stop(keep=True)
    await scene.stack.kube.start()
    await until("it turns to Valkey", lambda: scene.operator.lines("snapshot_failing"))
    valkey = await looked_at(scene.operator)
    await scene.valkey.start()
    await scene.operator.ready()
    return Saw(api=api, valkey=valkey, lines=scene.operator.lines())


async def has_the_wrong_password(scene: Scene) -> Saw:
    """A second operator, which gets no further than Valkey's door."""
    url = scene.valkey.url_for("", "not-the-password")
    operator = scene.another("stranger", url=url)
    try:
        await operator.start()
        await until("it is refused", lambda: operator.lines("snapshot_failing"))
        return await looked_at(operator)
    finally:
        await operator.kill()


ROUGH = Life(
    "rough",
    [
        [has_no_definitions],
        [loses_definitions],
        [loses_the_api],
        [starts_with_nothing],
        [has_the_wrong_password],
    ],
    manifests=("namespace.yaml", "rbac.yaml"),
)

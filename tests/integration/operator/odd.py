"""Objects and Nodes that people, and other programs, handle in odd ways; no fault in between."""

import asyncio
import json
from typing import Any

from tests.integration.operator.lives import Saw, Scene
from tests.integration.operator.rig import CLOCK, INTERVAL, SWEEP, until
from tests.integration.operator.steady import fabric_node, make_node, owner

FINALIZER = "example.com/hold"
FUTURE = "2099-01-01T00:00:00Z"


async def patched(scene: Scene, name: str, patch: dict[str, Any], *words: str) -> str:
    return await scene.kubectl(
        "patch", "fnode", name, "--type=merge", "-p", json.dumps(patch), *words
    )


async def status_patched(scene: Scene, name: str, patch: dict[str, Any]) -> str:
    return await patched(scene, name, {"status": patch}, "--subresource=status")


async def made(scene: Scene, name: str, **spec: Any) -> None:
    body = json.dumps(fabric_node(name, **spec))
    await scene.kubectl("create", "-f", "-", stdin=body)


async def has_a_wrong_name(scene: Scene) -> Saw:
    """An object whose name is not the one of the node that it names."""
    await made(scene, "odd-name", nodeId="odd-named")
    scene.nodes.add("odd-named")
    await scene.recorder.reached("odd-named", "Online")
    return Saw(object=lambda: scene.recorder.last("odd-name"))


async def names_another(scene: Scene) -> Saw:
    """An object under a node's name that says that it is another node's."""
    await made(scene, "odd-usurped", nodeId="odd-usurper")
    scene.nodes.add("odd-usurped")
    scene.nodes.add("odd-usurper")
    await scene.recorder.reached("odd-usurper", "Online")

    def told() -> list[dict[str, Any]]:
        lines = scene.operator.lines("write_refused")
        return [line for line in lines if line["node"] == "odd-usurped"]

    lines = await until("it is told", told)
    verdict = await scene.operator.verdict("odd-usurped")
    before = scene.recorder.last("odd-usurped")
    ready = await scene.operator.probe("/readyz")
    await scene.kubectl("delete", "fnode", "odd-usurped")
    gone = CLOCK.monotonic()
    await scene.recorder.reached("odd-usurped", "Online", gone)
    await until("it is over", lambda: scene.operator.lines("write_refused_recovered"))
    return Saw(
        lines=lines, verdict=verdict, before=before, ready=ready,
        again=told(), after=scene.recorder.last("odd-usurped"),
    )  # fmt: skip


async def is_a_new_node(scene: Scene) -> Saw:
    """Nodes deleted and made anew at once, one of them with its object, as a cluster would."""
    names = ("odd-anew", "odd-collected")
    for name in names:
        await make_node(scene, name)
        scene.nodes.add(name)
    for name in names:
        await scene.recorder.reached(name, "Online")
        await until("owned", lambda name=name: owner(scene, name))
        said = {"spec": {"heartbeat": {"missedHeartbeats": 2}, "config": {"note": name}}}
        await patched(scene, name, said)
    before = {name: scene.recorder.last(name) for name in names}
    began = CLOCK.monotonic()
    uids = {}
    for name in names:
        await scene.stack.kube.request("DELETE", f"/api/v1/nodes/{name}")
        uids[name] = await make_node(scene, name)
    took = CLOCK.monotonic() - began
    await scene.kubectl("delete", "fnode", "odd-collected")
    for name in names:
        await until("owned anew", lambda name=name: owner(scene, name) == uids[name])
    await scene.recorder.reached("odd-collected", "Online", began)
    return Saw(
        took=took, before=before, states=states_since(scene, names, began),
        after={name: scene.recorder.last(name) for name in names},
    )  # fmt: skip


def states_since(scene: Scene, names: tuple[str, ...], moment: float) -> set[str | None]:
    return {e.state for e in scene.recorder.events if e.name in names and e.at > moment}


async def is_held(scene: Scene) -> Saw:
    """Objects with somebody's finalizer, deleted: of a living node, and of a Node long gone."""
    scene.nodes.add("odd-held")
    await scene.recorder.reached("odd-held", "Online")
    orphan = fabric_node("odd-orphan")
    orphan["metadata"] |= {
        "finalizers": [FINALIZER],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": "gone", "uid": "no-such-uid"}
        ],
    }
    await scene.kubectl("create", "-f", "-", stdin=json.dumps(orphan))
    await patched(scene, "odd-held", {"metadata": {"finalizers": [FINALIZER]}})
    uid = scene.recorder.last("odd-held")["metadata"]["uid"]
    began = asyncio.get_running_loop().time()
    await scene.kubectl("delete", "fnode", "odd-held", "--wait=false")
    await asyncio.sleep(2 * SWEEP)
    held = scene.recorder.last("odd-held")
    asked = [a for a in scene.proxy.asked if a.name == "odd-held" and a.at >= began]
    released = CLOCK.monotonic()
    await patched(scene, "odd-held", {"metadata": {"finalizers": None}})

    def is_anew() -> bool:
        last = scene.recorder.last("odd-held")
        return bool(last and last["metadata"]["uid"] != uid and last.get("status"))

    await until("made anew", is_anew)
    return Saw(
        held=held, uid=uid, asked=asked, seconds=CLOCK.monotonic() - released,
        orphan=lambda: [
            (a.verb, a.status) for a in scene.proxy.asked if a.name == "odd-orphan"
        ],
        deleted=lambda: [
            line for line in scene.operator.lines("orphan_deleted")
            if line["object"] == "odd-orphan"
        ],
    )  # fmt: skip


def condition(kind: str) -> dict[str, str]:
    return {
        "type": kind, "status": "True", "reason": "Theirs", "message": "of another program",
        "lastTransitionTime": FUTURE,
    }  # fmt: skip


async def has_others_conditions(scene: Scene) -> Saw:
    """Conditions of other programs beside ours, and sixteen of them in ours' place."""
    names = ("odd-shared", "odd-crowded")
    for name in names:
        scene.nodes.add(name)
    for name in names:
        await scene.recorder.reached(name, "Online")
    ours = scene.recorder.last("odd-shared")["status"]["conditions"]
    theirs = [condition("example.com/Racked"), condition("example.com/Burnt-In")]
    many = [condition(f"example.com/C{number}") for number in range(16)]
    await status_patched(scene, "odd-shared", {"state": "Offline", "conditions": theirs})
    await status_patched(scene, "odd-crowded", {"conditions": many})

    def restored() -> bool:
        return all(set(types(ours)) <= set(types(conditions(scene, name))) for name in names)

    await until("ours are there again", restored)
    await asyncio.sleep(INTERVAL)
    return Saw(
        ours=types(ours), theirs=theirs, many=types(many),
        shared=conditions(scene, "odd-shared"), crowded=conditions(scene, "odd-crowded"),
        state=scene.recorder.state("odd-shared"),
    )  # fmt: skip


def conditions(scene: Scene, name: str) -> list[dict[str, Any]]:
    return (scene.recorder.last(name) or {})["status"].get("conditions") or []


def types(found: list[dict[str, Any]]) -> list[str]:
    return [c["type"] for c in found]


async def has_garbage(scene: Scene) -> Saw:
    """A status emptied, a state that does not exist, dates of another century."""
    names = ("odd-emptied", "odd-dated")
    for name in names:
        scene.nodes.add(name)
    for name in names:
        await scene.recorder.reached(name, "Online")
    before = scene.recorder.last("odd-emptied")["status"]
    refused = ""
    try:
        await status_patched(scene, "odd-emptied", {"state": "Splendid"})
    except AssertionError as error:
        refused = str(error)
    await status_patched(scene, "odd-emptied", dict.fromkeys(before))
    dates = {"state": "Unknown", "confirmedTime": FUTURE, "lastHeartbeatTime": FUTURE}
    await status_patched(scene, "odd-dated", dates)
    edited = CLOCK.monotonic()

    def restored() -> bool:
        emptied, dated = (scene.recorder.last(name)["status"] for name in names)
        return (
            emptied.get("state") == "Online" and bool(emptied.get("gpus"))
            and dated["state"] == "Online" and "lastHeartbeatTime" not in dated
        )  # fmt: skip

    await until("both are put right", restored)
    return Saw(
        refused=refused, before=before, seconds=CLOCK.monotonic() - edited,
        emptied=scene.recorder.last("odd-emptied")["status"],
        dated=scene.recorder.last("odd-dated")["status"],
    )  # fmt: skip


ODD = [
    has_a_wrong_name, names_another, is_a_new_node, is_held, has_others_conditions, has_garbage,
]  # fmt: skip
"""Acts that go side by side."""

"""A life without outages: nodes come, change, leave; people edit; senders send nonsense."""

import asyncio
import json
from typing import Any

import redis.asyncio

from citadel_k8s.models.codec import encode
from citadel_k8s.models.wire import ServiceInfo, StatusMessage
from tests.integration.operator.lives import Life, Saw, Scene
from tests.integration.operator.rig import CLOCK, INTERVAL, T_FAILURE, Speaker, until

STREAM = "node:status:stream"
REPEATS = 3
"""How often each piece of nonsense is sent."""


CROWD = 40
"""Objects made at once."""


def fabric_node(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "fabric.aceteam.ai/v1alpha1",
        "kind": "FabricNode",
        "metadata": {"name": name},
        "spec": {"nodeId": name, **spec},
    }


async def make_node(scene: Scene, name: str) -> str:
    """Create a Node of the cluster and give its uid."""
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    made = await scene.stack.kube.request("POST", "/api/v1/nodes", body)
    return made["metadata"]["uid"]


def owner(scene: Scene, name: str) -> str | None:
    metadata = (scene.recorder.last(name) or {"metadata": {}})["metadata"]
    return next((o["uid"] for o in metadata.get("ownerReferences", [])), None)


async def appears(scene: Scene) -> Saw:
    """A Node of the cluster whose agent speaks, and one that joins the cluster later."""
    uid = await make_node(scene, "owned")
    scene.nodes.add("owned")
    scene.nodes.add("adopted")
    await scene.recorder.reached("owned", "Online")
    await scene.recorder.reached("adopted", "Online")
    before = owner(scene, "adopted")
    table = await scene.kubectl("get", "fnode", "owned", "adopted")
    wide = await scene.kubectl("get", "fnode", "owned", "-o", "wide")
    late = await make_node(scene, "adopted")
    await until("adopted", lambda: owner(scene, "adopted") == late)
    return Saw(
        uid=uid, owner=owner(scene, "owned"), before=before, table=table, wide=wide,
        object=scene.recorder.last("owned"), adopted=scene.recorder.last("adopted"),
    )  # fmt: skip


async def dies(scene: Scene) -> Saw:
    """A node that is killed and started again."""
    node = scene.nodes.add("mortal")
    await scene.recorder.reached("mortal", "Online")
    died = node.fall_silent()
    offline = await scene.recorder.reached("mortal", "Offline", died)
    silent = scene.recorder.last("mortal")
    back = await node.come_back()
    online = await scene.recorder.reached("mortal", "Online", back)
    return Saw(to_offline=offline - died, to_online=online - back, silent=silent)


async def leaves(scene: Scene) -> Saw:
    """A node that says goodbye and is back soon."""
    node = scene.nodes.add("polite")
    await scene.recorder.reached("polite", "Online")
    await node.leave(reason="upgrade", expected_back_seconds=60)
    left = CLOCK.monotonic()
    await scene.recorder.reached("polite", "Draining", left - 1)
    gone = scene.recorder.last("polite")
    await asyncio.sleep(T_FAILURE + 2)
    await node.come_back()
    await scene.recorder.reached("polite", "Online", left)
    return Saw(states=scene.recorder.states("polite"), gone=gone)


async def edited(scene: Scene) -> Saw:
    """Objects whose status somebody overwrote."""
    scene.nodes.add_all("edited", 2)
    for name in ("edited-0", "edited-1"):
        await scene.recorder.reached(name, "Online")
    lie = {"status": {"state": "Offline", "gpus": None, "summary": {"gpus": "0/0"}}}
    for name, patch in (("edited-0", lie), ("edited-1", {"status": {"conditions": None}})):
        await scene.kubectl(
            "patch", "fnode", name, "--subresource=status", "--type=merge", "-p", json.dumps(patch)
        )
    edit = CLOCK.monotonic()

    def restored() -> bool:
        first, second = scene.recorder.last("edited-0"), scene.recorder.last("edited-1")
        return bool(
            first and second and first["status"]["state"] == "Online"
            and first["status"].get("gpus") and first["status"]["summary"]["gpus"] == "8/8"
            and len(second["status"].get("conditions") or []) == 6
        )  # fmt: skip

    await until("both are put right", restored)
    return Saw(seconds=CLOCK.monotonic() - edit)


async def deleted(scene: Scene) -> Saw:
    """Objects deleted while the operator watches: of a living node and of a dead one."""
    alive, dead = scene.nodes.add("kept"), scene.nodes.add("dropped")
    for name in ("kept", "dropped"):
        await scene.recorder.reached(name, "Online")
    spec = {"spec": {"maintenance": True, "heartbeat": {"missedHeartbeats": 3}}}
    await scene.kubectl("patch", "fnode", "kept", "--type=merge", "-p", json.dumps(spec))
    died = dead.fall_silent()
    await scene.recorder.reached("dropped", "Offline", died)
    before = scene.recorder.last("kept")
    await scene.recorder.remade("kept", scene.kubectl("delete", "fnode", "kept", "dropped"))
    await asyncio.sleep(3)
    return Saw(
        before=before, after=scene.recorder.last("kept"), dropped=scene.recorder.last("dropped"),
        figures=await scene.operator.verdict("dropped"), alive=alive,
    )  # fmt: skip


async def made_by_hand(scene: Scene) -> Saw:
    """An object for a node that never reports."""
    await scene.operator.ready()
    body = json.dumps(fabric_node("promised"))
    await scene.kubectl("create", "-f", "-", stdin=body)
    made = CLOCK.monotonic()
    await scene.recorder.reached("promised", "Offline", made)
    return Saw(
        states=scene.recorder.states("promised"), object=scene.recorder.last("promised"),
        seconds=CLOCK.monotonic() - made,
    )  # fmt: skip


async def crowded(scene: Scene) -> Saw:
    """Many objects made at once; gives when the operator had seen the last of them."""
    await scene.operator.ready()
    items = [fabric_node(f"crowd-{number}") for number in range(CROWD)]
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    began = CLOCK.monotonic()
    await scene.kubectl("create", "-f", "-", stdin=json.dumps(listed))

    async def seen() -> bool:
        _, text = await scene.operator.get("/metrics")
        return text.count('node="crowd-') >= CROWD

    await until("all are seen", seen)
    return Saw(seconds=CLOCK.monotonic() - began)


async def large(scene: Scene) -> Saw:
    """A node of 16 GPUs with 40 services of long names."""
    node = scene.nodes.add("large", gpus=16)
    node.alter = with_many_services
    await scene.recorder.reached("large", "Online")
    await asyncio.sleep(INTERVAL)
    raw = scene.recorder.last("large")
    stored = json.dumps(raw["status"], separators=(",", ":"), ensure_ascii=False).encode()
    return Saw(size=len(stored), status=raw["status"])


def with_many_services(message: StatusMessage) -> StatusMessage:
    services = [
        ServiceInfo(
            name=f"engine-{number}-" + "ü\n" * (100 if number == 1 else 5),
            type="llm",
            status="running",
            health="ok",
            port=8000 + number if number else 2**40,
            models=[f"org/model-{number}-{'x' * 200}"] * 2,
        )
        for number in range(40)
    ]
    status = message.status.model_copy(update={"services": services})
    return message.model_copy(update={"status": status})


def nonsense(good: Speaker) -> list[tuple[str, dict[bytes, bytes], str]]:
    """Give entries that must not count: sender, fields, reason."""
    message = good.node.message(CLOCK.now()).model_copy(update={"boot_id": "b", "seq": 1})

    def entry(node: str, payload: bytes, **more: bytes) -> dict[bytes, bytes]:
        fields = {b"nodeId": node.encode(), b"payload": payload}
        return fields | {key.encode(): value for key, value in more.items()}

    def changed(node: str, **keys: Any) -> bytes:
        return json.dumps({**json.loads(encode(message)), "nodeId": node, **keys}).encode()

    return [
        ("bad-json", entry("bad-json", b'{"version":'), "NotJson"),
        ("bad-bytes", entry("bad-bytes", b"\xff\xfe\x00"), "NotJson"),
        ("bad-depth", entry("bad-depth", b"[" * 100_000), "NotJson"),
        ("bad-shape", entry("bad-shape", b"[1, 2]"), "BadField"),
        ("bad-size", entry("bad-size", b'"' + b"x" * (1024 * 1024) + b'"'), "Oversized"),
        ("bad-version", entry("bad-version", changed("bad-version", version="2.0")),
         "UnsupportedVersion"),
        ("bad-type", entry("bad-type", changed("bad-type", seq="many")), "BadField"),
        ("bad-nothing", entry("bad-nothing", b"{}"), "BadField"),
        ("bad-payload", {b"nodeId": b"bad-payload"}, "NotJson"),
        ("", {b"payload": changed("x")}, "BadNodeId"),
        ("../etc/passwd", entry("../etc/passwd", changed("x")), "BadNodeId"),
        ("bad-liar", entry("bad-liar", changed("owned")), "WrongNode"),
        ("bad-org", entry("bad-org", changed("bad-org"), orgId=b"theirs"), "WrongOrg"),
    ]  # fmt: skip


async def gets_nonsense(scene: Scene) -> Saw:
    """Entries that no agent would send, between the heartbeats of one that is well."""
    good = scene.nodes.add("beside-nonsense")
    await scene.recorder.reached("beside-nonsense", "Online")
    sent = nonsense(good)
    async with redis.asyncio.Redis.from_url(scene.valkey.url) as server:
        for _ in range(REPEATS):
            for _, fields, _ in sent:
                await server.xadd(STREAM, fields)
        replay = good.node.message(CLOCK.now()).model_copy(update={"seq": 1})
        await server.xadd(STREAM, {"nodeId": "beside-nonsense", "payload": encode(replay)})
        wanted = {(node[:64], reason) for node, _, reason in sent}
        await until("all are told", lambda: wanted <= told(scene), 10)
        after = CLOCK.monotonic()
        await asyncio.sleep(INTERVAL + 1)
    figures = {
        reason: await scene.operator.metric("citadel_operator_entries_total", result=reason)
        for reason in {reason for *_, reason in sent} | {"Replayed"}
    }
    fresh = [e for e in scene.recorder.events if e.at > after and e.name.startswith("bad")]
    return Saw(
        sent=sent, lines=scene.operator.lines("entry_rejected"), figures=figures, fresh=fresh,
        states=scene.recorder.states("beside-nonsense"),
        accepted=await scene.operator.metric("citadel_operator_entries_total", result="accepted"),
    )  # fmt: skip


def told(scene: Scene) -> set[tuple[str, str]]:
    return {(line["node"], line["reason"]) for line in scene.operator.lines("entry_rejected")}


async def deleted_unseen(scene: Scene) -> Saw:
    """Objects and a Node deleted while no operator runs."""
    living = scene.nodes.add("unseen-living")
    dead, orphan = scene.nodes.add("unseen-dead"), scene.nodes.add("unseen-orphan")
    await make_node(scene, "unseen-orphan")
    names = ("unseen-living", "unseen-dead", "unseen-orphan")
    for name in names:
        await scene.recorder.reached(name, "Online")
    died = CLOCK.monotonic()
    dead.fall_silent()
    orphan.fall_silent()
    for name in names[1:]:
        await scene.recorder.reached(name, "Offline", died)
    began = CLOCK.monotonic()
    status = await scene.operator.charge.stop(20)
    stopped = CLOCK.monotonic() - began
    lines = scene.operator.lines()
    await scene.kubectl("delete", "fnode", "unseen-living", "unseen-dead")
    await scene.kubectl("delete", "node", "unseen-orphan")
    away = CLOCK.monotonic()
    await scene.operator.start()
    await scene.recorder.reached("unseen-living", "Online", away)
    await until("the orphan goes", lambda: scene.recorder.last("unseen-orphan") is None)
    await asyncio.sleep(3)
    return Saw(
        status=status, stopped=stopped, lines=lines, living=living.node.speaking,
        dead=scene.recorder.last("unseen-dead"), retold=scene.operator.lines("transition"),
    )  # fmt: skip


async def says_all(scene: Scene) -> Saw:
    """What the operator said until its end."""
    return Saw(lines=scene.operator.lines())


STEADY = Life(
    "steady",
    [
        [appears, dies, leaves, edited, deleted, made_by_hand, crowded, large, gets_nonsense],
        [deleted_unseen],
        [says_all],
    ],
)

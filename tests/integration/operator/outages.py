"""A life with a Valkey that hangs and forgets, and an operator that is killed."""

import asyncio

import aiohttp
import redis.asyncio

from tests.integration.operator.lives import Life, Saw, Scene
from tests.integration.operator.rig import CLOCK, INTERVAL, T_FAILURE, Speaker, admin_context, until

STREAM = "node:status:stream"
COUNT = 4
KILLS = 5


async def speaks(scene: Scene) -> Saw:
    """Some nodes are Online before anything happens."""
    speakers = scene.nodes.add_all("node", COUNT)
    scene.speakers = speakers
    await until("all are Online", lambda: scene.recorder.all_in(speakers, "Online"))
    return Saw()


def offline_since(scene: Scene, moment: float) -> list[str]:
    return [e.name for e in scene.recorder.events if e.at > moment and e.state == "Offline"]


async def hangs(scene: Scene) -> Saw:
    """Valkey stops answering for longer than a node may be silent."""
    began = CLOCK.monotonic()
    await scene.valkey.pause()
    await asyncio.sleep(1.6 * T_FAILURE)
    during = Saw(
        up=await scene.operator.metric("citadel_operator_stream_up"),
        lines=scene.operator.lines("stream_unreadable"),
        ready=await scene.operator.probe("/readyz"),
        live=await scene.operator.probe("/healthz"),
    )
    await scene.valkey.resume()
    await scene.operator.ready()
    up = await scene.operator.metric("citadel_operator_stream_up")
    await asyncio.sleep(1.5 * INTERVAL + 1)  # for which silence did not count
    return Saw(
        during=during, up=up, offline=offline_since(scene, began), lines=scene.operator.lines(),
        all_online=scene.recorder.all_in(scene.speakers, "Online"),
    )  # fmt: skip


async def forgets(scene: Scene) -> Saw:
    """Valkey holds something else under the stream's name, then restarts without its data."""
    began = CLOCK.monotonic()
    async with redis.asyncio.Redis.from_url(scene.valkey.url) as server:
        await server.set(STREAM, "not a stream")
        wrong = await until("the wrong type is told", lambda: wrong_type(scene), 15)
        await asyncio.sleep(1)
        count = len(wrong_type(scene))
    await scene.valkey.restart(keep=False)
    scene.forgotten = CLOCK.monotonic()
    await scene.operator.ready()
    await asyncio.sleep(INTERVAL)
    return Saw(
        wrong=wrong, count=count, offline=offline_since(scene, began),
        resets=await scene.operator.metric("citadel_operator_stream_resets_total"),
        epochs=scene.operator.lines("stream_went_back"),
        all_online=scene.recorder.all_in(scene.speakers, "Online"),
    )  # fmt: skip


def wrong_type(scene: Scene) -> list[dict[str, object]]:
    lines = scene.operator.lines("stream_unreadable")
    return [line for line in lines if "WRONGTYPE" in str(line["error"])]


async def patches(scene: Scene) -> float:
    """Give how often the API server was asked to patch a FabricNode's status."""
    connector = aiohttp.TCPConnector(ssl=admin_context(scene.stack.kube))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.get(scene.stack.kube.server + "/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    wanted = ("apiserver_request_total{", 'resource="fabricnodes"', 'verb="PATCH"')
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(w in line for w in wanted))


async def is_killed(scene: Scene) -> Saw:
    """The operator is killed again and again while its nodes live."""
    await scene.operator.ready()
    versions = {s.node.node_id: version(scene, s) for s in scene.speakers}
    before, began = await patches(scene), CLOCK.monotonic()
    for _ in range(KILLS):
        await scene.operator.kill()
        await scene.operator.start()
        await until("it speaks", lambda: scene.operator.lines("caught_up"))
    await scene.operator.ready()
    await asyncio.sleep(INTERVAL + 1)
    return Saw(
        patches=await patches(scene) - before, offline=offline_since(scene, scene.forgotten),
        versions=versions, now={s.node.node_id: version(scene, s) for s in scene.speakers},
        states={e.state for e in scene.recorder.events if e.at > began},
    )  # fmt: skip


def version(scene: Scene, speaker: Speaker) -> str:
    return scene.recorder.last(speaker.node.node_id)["metadata"]["resourceVersion"]


async def misses_a_death(scene: Scene) -> Saw:
    """A node dies right after the operator was killed; the next one is up before it is due."""
    victim = scene.speakers[0]
    await scene.operator.kill()
    died = victim.fall_silent()
    await asyncio.sleep(INTERVAL)
    await scene.operator.start()
    await until("it has caught up", lambda: scene.operator.lines("caught_up"))
    up = CLOCK.monotonic() - died
    offline = await scene.recorder.reached(victim.node.node_id, "Offline", died)
    others = scene.recorder.all_in(scene.speakers[1:], "Online")
    return Saw(seconds=offline - died, up=up, others=others)


async def is_stopped_amid_an_outage(scene: Scene) -> Saw:
    """SIGTERM while neither Valkey nor the API server answers."""
    scene.speakers[1].fall_silent()  # so that a write is under way
    await scene.operator.ready()
    await scene.valkey.pause()
    await scene.stack.kube.pause()
    try:
        await asyncio.sleep(3)
        began = CLOCK.monotonic()
        status = await scene.operator.charge.stop(20)
        took = CLOCK.monotonic() - began
    finally:
        await scene.stack.kube.resume()
        await scene.valkey.resume()
    return Saw(status=status, took=took, lines=scene.operator.lines(), text=scene.operator.text())


OUTAGES = Life(
    "outages",
    [[act] for act in (
        speaks, hangs, forgets, is_killed, misses_a_death, is_stopped_amid_an_outage,
    )],
)  # fmt: skip

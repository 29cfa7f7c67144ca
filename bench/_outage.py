"""An outage of Redis: what it costs the agent, and what is heard afterwards."""

import asyncio
import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bench._agent import GPUS, agent, anonymous_mib, family, heard
from bench._rig import CLOCK
from bench.figures import Bench
from citadel_k8s.local.stack import Stack
from citadel_k8s.models.codec import parse_timestamp
from citadel_k8s.stores.entries import Entry
from citadel_k8s.stores.streams import RedisStatusStream
from tests.native.fake_nvml import FakeNvml

INTERVAL = 5.0


@dataclass
class Record:
    """What was heard and held over the whole time."""

    entries: list[Entry] = field(default_factory=list[Entry])
    sizes: list[float] = field(default_factory=list[float])
    late: list[float] = field(default_factory=list[float])


async def outage(bench: Bench, stack: Stack, folder: Path) -> None:
    """Let Redis hang, then be gone, half of the time each."""
    half = 4.0 if bench.quick else 300.0
    nvml = FakeNvml(folder, GPUS)
    record = Record()
    env = nvml.env({**os.environ, "CITADEL__REDIS_URL": stack.redis_url})
    async with agent(folder, env, "outage", INTERVAL) as running:
        await asyncio.sleep(6 if bench.quick else 60)
        before = size(running.pid)
        bench.say(f"Redis hangs for {half:g} s")
        await stack.valkey.pause()
        await away(record, running.pid, half)
        await stack.valkey.resume()
        await back(record, stack, running.node_id)
        bench.say(f"Redis is gone for {half:g} s")
        await stack.valkey.kill()
        await away(record, running.pid, half)
        await stack.valkey.start()
        await back(record, stack, running.node_id)
        after = size(running.pid)
    grown = max(*record.sizes, after) - before
    bench.at_most("memory more by an outage of Redis", grown, "MiB", target=1)
    bench.at_most("latest status after an outage", max(record.late), "s", target=INTERVAL)
    judge_entries(bench, record.entries)


def size(pid: int) -> float:
    """Give what the agent and its children hold, MiB."""
    return sum(anonymous_mib(process.pid) for process in family(pid))


async def away(record: Record, pid: int, seconds: float) -> None:
    """Wait for the end of an outage."""
    end = CLOCK.monotonic() + seconds
    while CLOCK.monotonic() < end:
        await asyncio.sleep(min(5.0, seconds / 4))
        record.sizes.append(size(pid))


async def back(record: Record, stack: Stack, node: str) -> None:
    """Wait for the first message that was made after the outage, and for some more."""
    began = CLOCK.now()
    await asyncio.sleep(1.5 * INTERVAL)
    # A server that was killed has forgotten all that was before; one that hung has not.
    seen = {(entry.id, entry.payload) for entry in record.entries}
    stream = RedisStatusStream(stack.redis_url)
    try:
        entries = await heard(stream, node)
    finally:
        await stream.close()
    record.entries += [entry for entry in entries if (entry.id, entry.payload) not in seen]
    # What was sent to a hanging server is carried out when it goes on. Only what was true then
    # counts: a message that was made within the last interval.
    late = [
        at - began
        for entry in entries
        if (at := entry.id.ms / 1000) >= began and began - _made(entry) < INTERVAL
    ]
    record.late.append(min(late, default=float("inf")))


def _seq(entry: Entry) -> int:
    return int(json.loads(entry.payload)["seq"])


def _made(entry: Entry) -> float:
    # The envelope says when it was sent, the node when it was made.
    status = json.loads(entry.payload)["status"]
    return parse_timestamp(str(status["timestamp"]))


def judge_entries(bench: Bench, entries: list[Entry]) -> None:
    """Record whether what was heard is in order and says one thing only."""
    order = [_seq(entry) for entry in sorted(entries, key=lambda entry: entry.id)]
    said: dict[int, set[str]] = defaultdict(set)
    for entry in entries:
        said[_seq(entry)].add(_said(entry))
    back = sum(later < earlier for earlier, later in pairwise(order))
    bench.at_most("messages out of order", back, "", target=0)
    bench.inform("messages written twice", len(order) - len(said), "")
    different = sum(len(texts) > 1 for texts in said.values())
    bench.at_most("messages of one number that differ", different, "", target=0)


def _said(entry: Entry) -> str:
    message = json.loads(entry.payload)
    message.pop("timestamp")  # when it was sent
    return json.dumps(message, sort_keys=True)

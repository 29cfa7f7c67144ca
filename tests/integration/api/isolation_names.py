"""Names of streams, channels, queues and keys: one's own, and another's in every disguise."""

import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from citadel_k8s.constants import STATUS_STREAM
from tests.integration.api.isolation import ORGS

if TYPE_CHECKING:
    from tests.integration.api.isolation_requests import Draw

_FORMS: tuple[Callable[[str, str], str], ...] = (
    lambda name, org: f"org:{org}:{name}",
    lambda name, org: f"../org:{org}:{name}",
    lambda name, org: f"{name}\norg:{org}:{name}",
    lambda name, org: f"org%3A{org}%3A{name}",
    lambda name, org: f"org：{org}：{name}",  # noqa: RUF001 - as wide as others write it
    lambda name, _: f"{name}*",
    lambda name, _: f"{name[:-1]}?",
    lambda name, _: f"{name}\x00",
    lambda name, _: f"{name}\n",
    lambda name, _: f" {name}",
    lambda name, _: name.upper(),
    lambda name, org: f"{{org:{org}}}:{name}",
    lambda _, org: f"fabric:org:{org}:stream",
    lambda _, org: f"fabric:org:{org}:events",
    lambda _, org: f"fabric:live:{org}:gpu-2",
    lambda _, org: f"org:{org}:node:gpu-1:status",
    lambda _, org: f"org:{org}:citadel:configs",
    lambda _, __: "*",
    lambda _, __: "",
)


class Names:
    """Makes names, and what is said under them."""

    def __init__(self, draw: "Draw") -> None:
        self.draw = draw

    def key(self) -> str:
        """Give a key's name."""
        job = "shared" if self.draw.rng.random() < 0.3 else self.draw.atom("job")
        return self._form(self.rng.choice((f"job:{job}:status", f"job:cancelled:{job}")))

    def queue(self) -> str:
        """Give a queue's name."""
        org, mesh = self._org(), self.draw.atom("mesh")
        usual = ("jobs:v1:gpu-general", "jobs:v1:cpu-general", "jobs:v1:tag:big")
        if self.draw.plain:
            return self.rng.choice(usual)
        others = ("jobs:v1:config", f"jobs:v1:shell:org_{org}", f"jobs:v1:tag:meeting:org_{org}",
                  f"jobs:v1:shell:org_{org}:node:{mesh}")  # fmt: skip
        return self._form(self.rng.choice(usual + others))

    def group(self) -> str:
        """Give a group's name."""
        groups = ("citadel-workers", f"citadel-config-{self.draw.atom('node')}", "citadel-*")
        return groups[0] if self.draw.plain else self.rng.choice(groups)

    def channel(self) -> str:
        """Give a channel's name."""
        node, mesh, org = self._node(), self.draw.atom("mesh"), self._org()
        if self.draw.plain:
            return f"node:status:{node}"
        return self._form(
            self.rng.choice(
                (f"node:status:{node}", f"node:presence:{node}", f"config:node:{node}",
                 f"node:status:org:{org}:{node}", f"wake:v1:node:{mesh}", "stream:v1:shared",
                 f"stream:v1:{self.draw.atom('job')}")
            )
        )  # fmt: skip

    def message(self) -> tuple[str, str]:
        """Give a channel and what is said on it."""
        channel = self.channel()
        node = channel.rpartition(":")[2] if self.rng.random() < 0.7 else self._node()
        said = {"nodeId": node, "note": self.draw.org.mark(), "orgId": self._org()}
        return channel, json.dumps(said)

    def entry(self) -> tuple[str, dict[str, str]]:
        """Give a stream and an entry for it."""
        node, at = self._node(), "2026-11-23T08:17:33Z"
        said = {"nodeId": node, "status": {"node": {"name": self.draw.org.mark()}}}
        stream = self.rng.choice(
            (STATUS_STREAM, "node:usage:stream", "node:activity:stream", "dlq:v1:gpu-general")
        )
        values = {"nodeId": node, "timestamp": at, "payload": json.dumps(said)}
        if stream == "node:usage:stream":
            values = {"data": json.dumps(said)}
        elif stream == "node:activity:stream":
            values |= {"message": self.draw.org.mark()}
        if not self.draw.plain and self.rng.random() < 0.3:
            values |= {"orgId": self._org(), "principal": self.draw.org.mark()}
        return self._form(stream), values

    def frames(self) -> list[dict[str, Any]]:
        """Give what is said on a socket."""
        channel, said = self.message()
        queue = self.queue()
        return [
            {"type": "subscribe", "channels": [self.channel(), self.channel()]},
            {"type": "publish", "channel": channel, "message": json.loads(said)},
            {"type": "consume", "queues": [queue], "group": self.group(),
             "consumer": self.draw.org.mark(), "blockMs": 5},
            {"type": "ack", "queue": queue, "group": self.group(),
             "messageId": self.draw.atom("entry")},
            {"type": "live_answer", "id": "0" * 24, "ok": True, "status": {"a": 1}},
            {"type": "subscribe", "nodes": [self._node()], "after": self.draw.atom("place")},
        ]  # fmt: skip

    @property
    def rng(self) -> random.Random:
        return self.draw.rng

    def _node(self) -> str:
        node = self.draw.atom("node")
        return "gpu-1" if self.draw.plain else node

    def _org(self) -> str:
        return self.draw.atom("org")

    def _form(self, name: str) -> str:
        form, roll = self.rng.choice(_FORMS), self.rng.random()
        org = self.rng.choice(ORGS)
        return name if self.draw.usual or roll < 0.6 else form(name, org)

"""Who hears what: the sockets of a process on the channels of their orgs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pydantic_core

from citadel_k8s.api.proxy.names import ChannelName
from citadel_k8s.constants import MAX_ENTRY_BYTES
from citadel_k8s.stores.ears import Ears, Heard

Listener = Callable[[bytes], None]
"""Takes a frame; must not wait."""


@dataclass(slots=True)
class _Channel:
    heard: Heard
    listeners: dict[Listener, None] = field(default_factory=dict[Listener, None])


class Hub:
    """Makes one frame of each message, for all who listen to its channel.

    Parameters
    ----------
    ears : Ears
        Hears for all of them.
    """

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._channels: dict[str, _Channel] = {}
        self.dropped = 0
        """Messages that were no JSON objects, or too large: clients would drop them, too."""

    def listen(self, name: ChannelName, listener: Listener) -> None:
        """Hand over frames of a channel; once is enough."""
        channel = self._channels.get(name.key)
        if channel is None:
            channel = _Channel(partial(self._hand_on, name))
            self._channels[name.key] = channel
            self._ears.listen(name.key, channel.heard)
        channel.listeners[listener] = None

    def forget(self, name: ChannelName, listener: Listener) -> None:
        """Hand over no more."""
        channel = self._channels.get(name.key)
        if channel is None:
            return
        channel.listeners.pop(listener, None)
        if not channel.listeners:
            del self._channels[name.key]
            self._ears.forget(name.key, channel.heard)

    def _hand_on(self, name: ChannelName, data: bytes) -> None:
        channel = self._channels.get(name.key)
        if channel is None:
            return
        if not _is_object(data):
            self.dropped += 1
            return
        head = pydantic_core.to_json({"type": "message", "channel": name.name})
        # Spliced, not written again: it is JSON already.
        frame = head[:-1] + b',"message":' + data + b"}"
        for listener in tuple(channel.listeners):
            listener(frame)


def _is_object(data: bytes) -> bool:
    if len(data) > MAX_ENTRY_BYTES:
        return False
    try:
        return isinstance(pydantic_core.from_json(data, allow_inf_nan=False), dict)
    except ValueError:
        return False

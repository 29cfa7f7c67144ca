"""kopf, as thin as it goes: it watches, and hands over what it sees.

No timers, daemons, change handlers or peering: they would put finalizers and annotations on
objects, and a deletion would hang while this operator is down. An event handler's error is
swallowed by kopf, so handlers here only pass the object on.

kopf gets a thread and a loop of its own: at its end it cancels every task of its loop that it
does not know, and it takes the process's signals over.
"""

import asyncio
import functools
import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import kopf
from typing_extensions import override

from citadel_k8s.aio.clock import Clock
from citadel_k8s.models.fabricnode import GROUP, PLURAL, VERSION
from citadel_k8s.operator.kopflog import KopfLog, short
from citadel_k8s.operator.kopfsession import Requests
from citadel_k8s.operator.registry import Registry
from citadel_k8s.telemetry.log import RepeatLog, get_logger

_log = get_logger("operator.edge")

SERVER_TIMEOUT: Final = 600
"""Seconds after which the API server is asked to end a watch, so that none is trusted for ever."""

CLIENT_TIMEOUT: Final = 660
"""Seconds after which a watch is given up here; behind the server's own limit."""

INACTIVITY_TIMEOUT: Final = 70
"""Seconds without a word after which a watch is begun anew; a server sends a bookmark a minute."""

BACKOFFS: Final = (1, 2, 4, *(8,) * 450)
"""Seconds between the attempts of one request. An API server that is away for an hour is no
reason to end, and one that is back is noticed within 8 s."""

WORKERS: Final = 200
"""Objects whose events are under way at once. Bounds the memory when 10,000 are listed."""

WORKER_IDLE: Final = 0.1
"""Seconds for which a worker waits for more of its object. Nothing else gets through meanwhile
once all are taken: with kopf's 5 s and ten workers that is two objects a second."""

RESTART_DELAY: Final = 2.0
"""Seconds before kopf is started again when it ended by itself."""

LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks at how kopf's requests fare."""

END_TIMEOUT: Final = 3.0
"""Seconds that kopf gets to end by itself once one of its watches has failed. It waits for the
others, and where one of these sits in a request, for ever."""

HUNG: Final = 90.0
"""Seconds without open watches, and without a word about them, after which kopf is begun anew: a
LIST of 10,000 objects takes kopf 10 to 20."""

STOP_TIMEOUT: Final = 4.0
"""Seconds that kopf gets to end its watches; the thread is a daemon and ends with the process."""

NOT_OPEN: Final = "watches are not open"

Raw = dict[str, Any]


@dataclass(slots=True)
class Watcher:
    """Keeps kopf running and brings what it sees into the registry's loop.

    Parameters
    ----------
    registry : Registry
        Who is told, always in the loop that `run` was called in.
    clock : Clock
        For the pace of log lines.
    restore : callable
        Waits until objects can be listed. kopf looks only once, at its start, whether a kind
        exists: started too early, it would never watch.
    node_label_selector : str or None
        Nodes of the cluster that matter; all if None.
    relisted : callable
        Told that a watch had to begin anew with a LIST: what was deleted meanwhile, nobody tells.
    """

    registry: Registry
    clock: Clock
    restore: Callable[[], Awaitable[None]]
    node_label_selector: str | None = None
    relisted: Callable[[], None] = lambda: None
    ready: threading.Event = field(default_factory=threading.Event)
    _lines: KopfLog = field(init=False)
    _requests: Requests = field(init=False)
    _ended: RepeatLog = field(init=False)
    _broken: RepeatLog = field(init=False)
    _closed_since: float = 0.0
    _kopf: "tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None" = None

    def __post_init__(self) -> None:
        self._lines = KopfLog(self.clock)
        self._requests = Requests(self.clock)
        self._ended = RepeatLog(_log, "watch_ended", clock=self.clock)
        self._broken = RepeatLog(_log, "watch_broken", clock=self.clock)

    @property
    def trouble(self) -> str | None:
        """Why objects cannot be seen now; None if they can."""
        said = self._lines.trouble or self._requests.trouble or self._lines.ended_by
        open_ = self.ready.is_set() and self._requests.open
        return said or (None if open_ else NOT_OPEN)

    async def run(self) -> None:
        """Watch until cancelled; an end that nobody asked for begins anew."""
        self._lines.install()
        while True:
            error = await self._once()
            self._lines.reset()
            self._ended.failed(error=error or "without an error")
            await asyncio.sleep(RESTART_DELAY)
            await self.restore()

    async def _once(self) -> str | None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str | None] = loop.create_future()
        # Flags and figures for each: one that was left behind must not touch those of the next.
        self.ready, stop = threading.Event(), threading.Event()
        self._requests = Requests(self.clock)
        self._closed_since = self.clock.monotonic()
        words = (loop, ended, stop, self.ready)
        threading.Thread(target=self._watch, args=words, name="kopf", daemon=True).start()
        try:
            while not ended.done():
                await asyncio.wait([ended], timeout=LOOK_INTERVAL)
                self._look()
                if self._hangs():
                    self._cancel()
                    await asyncio.wait([ended], timeout=STOP_TIMEOUT)
                    break  # the thread is a daemon: one that cannot be ended is left behind
            return ended.result() if ended.done() else self._lines.ended_by or "it hung"
        finally:
            self.ready.clear()
            stop.set()
            await asyncio.wait([ended], timeout=STOP_TIMEOUT)

    def _look(self) -> None:
        """Tell what kopf does not tell itself."""
        trouble = self._requests.trouble
        if trouble is not None:
            self._broken.failed(error=trouble)
        elif self._requests.well:
            self._broken.recovered()
            self._ended.recovered()

    def _hangs(self) -> bool:
        """Say whether kopf watches no more, nor tries to, nor ends."""
        now = self.clock.monotonic()
        if self._requests.open or self.trouble != NOT_OPEN:
            self._closed_since = now
        ending = self._lines.ending()
        return now - self._closed_since > HUNG or (ending is not None and ending > END_TIMEOUT)

    def _cancel(self) -> None:
        loop, task = self._kopf or (None, None)
        if loop is not None and task is not None and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    def _watch(
        self,
        loop: asyncio.AbstractEventLoop,
        ended: "asyncio.Future[str | None]",
        stop: threading.Event,
        ready: threading.Event,
    ) -> None:
        error: str | None = None
        try:
            asyncio.run(self._operator(loop, stop, ready))
        except asyncio.CancelledError:
            error = self._lines.ended_by or "it hung"
        except Exception as failure:  # noqa: BLE001 - whatever ended kopf, it is started again
            error = short(repr(failure))
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, ended, error)

    async def _operator(
        self, loop: asyncio.AbstractEventLoop, stop: threading.Event, ready: threading.Event
    ) -> None:
        own, task = asyncio.get_running_loop(), asyncio.current_task()
        self._kopf = (own, task) if task is not None else None
        # kopf's callback for a stop in the middle of a request fails, each time.
        own.set_exception_handler(lambda _loop, context: self._lines.unhandled(context))
        try:
            await kopf.operator(
                registry=self._handlers(loop),
                clusterwide=True,
                standalone=True,
                stop_flag=stop,
                ready_flag=ready,
            )
        finally:
            # kopf waits for the flag in a thread, and its loop's end waits for that thread: a kopf
            # that ended by itself would hang here for ever.
            stop.set()

    def _handlers(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        handlers = kopf.OperatorRegistry()

        def bring(news: Callable[..., None], *values: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(news, *values)

        @kopf.on.startup(registry=handlers)  # type: ignore[arg-type, unused-ignore]
        async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
            _configure(settings, self.node_label_selector)

        @kopf.on.login(registry=handlers)  # type: ignore[arg-type, unused-ignore]
        async def login(**kwargs: Any) -> kopf.AiohttpSession | None:
            # A kubeconfig that was named wins over the pod's own account, as in clients.kube.
            named = kopf.login_with_kubeconfig(**kwargs) if os.environ.get("KUBECONFIG") else None
            info = (
                named
                or kopf.login_with_service_account(**kwargs)
                or kopf.login_with_kubeconfig(**kwargs)
            )
            if info is None:
                return None
            return self._requests.session(info, functools.partial(bring, self.relisted))

        @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)  # type: ignore[arg-type, unused-ignore]
        async def on_fabric_node(event: kopf.RawEvent, **_: Any) -> None:
            raw = cast("Raw", event["object"])
            if event["type"] == "DELETED":
                name, uid = raw["metadata"]["name"], raw["metadata"].get("uid")
                bring(self.registry.forget_object, name, uid)
            else:
                bring(self.registry.observe, raw)

        @kopf.on.event("", "v1", "nodes", registry=handlers)  # type: ignore[arg-type, unused-ignore]
        async def on_node(event: kopf.RawEvent, **_: Any) -> None:
            raw = cast("Raw", event["object"])
            if event["type"] == "DELETED":
                bring(self.registry.forget_kube_node, raw["metadata"]["name"])
            else:
                bring(self.registry.observe_kube_node, raw)

        del configure, login, on_fabric_node, on_node  # kopf's registry holds them
        return handlers


class _NoEssence(kopf.DiffBaseStorage):
    """Keeps nothing to compare with: nobody here asks what changed.

    kopf's own copies each object deep for it, a third of what an event costs.
    """

    @override
    def build(
        self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None
    ) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    @override
    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    @override
    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def _settle(ended: "asyncio.Future[str | None]", error: str | None) -> None:
    if not ended.done():
        ended.set_result(error)


def _configure(settings: kopf.OperatorSettings, node_label_selector: str | None) -> None:
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.persistence.diffbase_storage = _NoEssence()
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.client_timeout = CLIENT_TIMEOUT
    settings.watching.chunk_size = 500
    settings.watching.reconnect_backoff = 1.0
    settings.watching.inactivity_timeout = INACTIVITY_TIMEOUT
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = BACKOFFS
    settings.queueing.worker_limit = WORKERS
    settings.queueing.idle_timeout = WORKER_IDLE
    settings.process.ultimate_exiting_timeout = None  # the process ends by itself, see main
    if node_label_selector:
        settings.watching.label_selectors["nodes"] = node_label_selector

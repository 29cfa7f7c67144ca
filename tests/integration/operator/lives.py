"""Lives of operators, several at once: minutes of outages that are waited for together.

A life is a row of acts on servers of its own. An act does something to them, looks on, and gives
back what it saw; the tests judge that. An act that fails fails the tests that ask for it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from citadel_k8s.local.binaries import Binaries
from citadel_k8s.local.stack import Stack
from citadel_k8s.local.valkey import Valkey
from tests.faultproxy import FaultProxy, faulty
from tests.integration.operator.rig import (
    PROGRAM,
    Nodes,
    Operator,
    Recorder,
    Speaker,
    account,
    install,
    recording,
    speaking,
)

PATIENCE = 110.0
"""Seconds that a test waits for an act: all lives together take about 70."""

Saw = SimpleNamespace
"""What an act saw."""


@dataclass
class Scene:
    """What acts have at hand."""

    folder: Path
    stack: Stack
    valkey: Valkey
    kubeconfig: Path
    operator: Operator
    nodes: Nodes
    recorder: Recorder
    proxy: FaultProxy | None = None
    speakers: list[Speaker] = field(default_factory=list[Speaker])
    mortals: dict[str, Speaker] = field(default_factory=dict[str, Speaker])
    forgotten: float = 0.0
    died: float = 0.0

    def another(self, name: str, *more: str, url: str | None = None) -> Operator:
        """Give one more operator; not started."""
        log = self.folder / f"{name}.log"
        return Operator(log, self.kubeconfig, url or self.valkey.url, *more)

    async def kubectl(self, *words: str, stdin: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            str(self.stack.kubectl), f"--kubeconfig={self.stack.kubeconfig}", *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, error = await process.communicate(stdin.encode())
        assert process.returncode == 0, error.decode()
        return out.decode()


Act = Callable[[Scene], Awaitable[Saw]]


@dataclass
class Life:
    """Acts in their order; those of one group happen side by side.

    Parameters
    ----------
    acts : sequence of sequences of Act
        Groups.
    prepare : callable
        Done before the first act: what is installed, which servers run.
    proxied : bool
        Whether the operator asks the API server through a proxy that may be told to fail.
    program : sequence of str
        What Python runs as the operator.
    """

    name: str
    acts: Sequence[Sequence[Act]]
    manifests: Sequence[str] = ("crds", "namespace.yaml", "rbac.yaml")
    started: bool = True
    proxied: bool = False
    program: Sequence[str] = PROGRAM
    _seen: dict[str, tuple[threading.Event, list[Any]]] = field(
        default_factory=dict[str, tuple[threading.Event, list[Any]]]
    )

    def __post_init__(self) -> None:
        names = ["prepare", *(act.__name__ for group in self.acts for act in group)]
        self._seen = {name: (threading.Event(), []) for name in names}

    def saw(self, act: Act) -> Saw:
        """Wait for an act and give what it saw."""
        event, outcome = self._seen[act.__name__]
        assert event.wait(PATIENCE), f"{act.__name__} did not end"
        if isinstance(outcome[0], BaseException):
            pytest.fail(f"{act.__name__}: {outcome[0]!r}")
        return outcome[0]

    async def live(self, folder: Path, binaries: Binaries) -> None:
        """Go through all acts, whatever becomes of them."""
        async with AsyncExitStack() as exits:
            try:
                scene = await self._set(exits, folder, binaries)
            except Exception as error:  # noqa: BLE001 - the tests that ask tell it
                self._give_up(error)
                return
            for group in self.acts:
                async with asyncio.TaskGroup() as tasks:
                    for act in group:
                        tasks.create_task(self._play(act, scene), name=act.__name__)

    async def _set(self, exits: AsyncExitStack, folder: Path, binaries: Binaries) -> Scene:
        stack = await exits.enter_async_context(Stack(binaries=binaries))
        await install(stack, *self.manifests)
        kubeconfig, proxy = await account(stack), None
        if self.proxied:
            proxy = await exits.enter_async_context(faulty(stack.kube, stack.folder / "proxy"))
            kubeconfig = await account(stack, proxy)
        log = folder / f"{self.name}.log"
        operator = Operator(log, kubeconfig, stack.redis_url, program=self.program)
        nodes = await exits.enter_async_context(speaking(stack.redis_url))
        recorder = await exits.enter_async_context(recording(stack))
        exits.push_async_callback(operator.kill)
        if self.started:
            await operator.start()
        return Scene(folder, stack, stack.valkey, kubeconfig, operator, nodes, recorder, proxy)

    async def _play(self, act: Act, scene: Scene) -> None:
        event, outcome = self._seen[act.__name__]
        try:
            outcome.append(await act(scene))
        except Exception as error:  # noqa: BLE001 - the tests that ask tell it
            outcome.append(error)
        finally:
            event.set()

    def _give_up(self, error: Exception) -> None:
        for event, outcome in self._seen.values():
            outcome.append(error)
            event.set()


class Stage(threading.Thread):
    """Lets lives happen in a thread and a loop of their own, while tests wait for their acts."""

    def __init__(self, lives: Sequence[Life], folder: Path, binaries: Binaries) -> None:
        super().__init__(name="lives")
        self._lives, self._folder, self._binaries = lives, folder, binaries
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._all())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - told at the end
            self._failure = error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None and self.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self.join(60)
        if self._failure is not None:
            raise self._failure

    async def _all(self) -> None:
        self._task = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            for life in self._lives:
                group.create_task(life.live(self._folder, self._binaries), name=life.name)

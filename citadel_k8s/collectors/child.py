"""A collector child: ``python -m citadel_k8s.collectors.child SOURCE[,SOURCE…] HOST_ROOT``.

It may hang at any moment and hold nobody up: a thread of its own waits for the end of stdin and
ends the process, so that no child outlives its parent however either came to its end.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading

from citadel_k8s.aio.diary import own_diary
from citadel_k8s.collectors.lines import (
    WHOLE_GPU,
    clean,
    encode_answer,
    encode_event,
    encode_note,
    failed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from citadel_k8s.aio.diary import Diary
    from citadel_k8s.collectors.lines import Answer, Pair, Source

NOTES_MAX: Final = 4096
"""Notes kept ready-made: sixteen GPUs with some eighty calls each, three times over."""


class Child:
    """Answers requests, one after the other.

    Parameters
    ----------
    names : list of str
        Sources that may be asked for.
    root : str
        Where the host's ``/`` is seen from here.
    diary : Diary
        Where the calls are noted.
    output : int
        Descriptor that answers and events are written to.
    """

    def __init__(self, names: list[str], root: str, diary: Diary, output: int) -> None:
        self._names = names
        self._root = root
        self._diary = diary
        self._output = output
        self._sources: dict[str, Source] = {}
        self._notes: dict[Pair, bytes] = {}
        self._writing = threading.Lock()

    def answer(self, line: bytes) -> None:
        """Answer one request."""
        request = json.loads(line)
        retry = {(gpu, call) for gpu, call in request["retry"]}
        tried: list[Pair] = []
        try:
            answer = self._collect(request, retry, tried)
        except Exception as error:  # noqa: BLE001 - whatever it was, the parent must hear of it
            answer = failed("CollectorError", clean(f"{type(error).__name__}: {error}"))
        self._diary.note(b"")
        self._write(encode_answer(request["id"], answer, tried))

    def _collect(self, request: Mapping[str, Any], retry: set[Pair], tried: list[Pair]) -> Answer:
        notes, diary = self._notes, self._diary

        def announce(gpu: int | None, call: str) -> None:
            pair = (gpu, call)
            note = notes.get(pair)
            if note is None:
                if len(notes) >= NOTES_MAX:
                    notes.clear()
                note = notes[pair] = encode_note(gpu, call)
            diary.note(note)
            if retry:
                tried.extend(p for p in (pair, (gpu, WHOLE_GPU)) if p in retry)

        diary.note(b"")
        source = self._source(request["source"])
        skip = {(gpu, call): why for gpu, call, why in request["skip"]}
        return source.collect(announce, skip, request["args"])

    def _source(self, name: str) -> Source:
        if name not in self._names:
            raise ValueError(f"this child does not read {name!r}")
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = make_source(name, self._root)
            watch = getattr(source, "watch", None)
            if watch is not None:
                threading.Thread(target=watch, args=(self._tell,), daemon=True).start()
        return source

    def _tell(self, event: Mapping[str, Any]) -> None:
        self._write(encode_event(event))

    def _write(self, data: bytes) -> None:
        with self._writing:
            while data:
                data = data[os.write(self._output, data) :]


def make_source(name: str, root: str) -> Source:
    """Give a source; only what is asked for is imported, since each library costs memory."""
    match name:
        case "host":
            from citadel_k8s.collectors.host import HostSource  # noqa: PLC0415

            return HostSource(root)
        case "containers":
            from citadel_k8s.collectors.cgroups import ContainerSource  # noqa: PLC0415

            return ContainerSource(root)
        case "processes":
            from citadel_k8s.collectors.processes import ProcessSource  # noqa: PLC0415

            return ProcessSource(root)
        case "drm":
            from citadel_k8s.collectors.drm import DrmSource  # noqa: PLC0415

            return DrmSource(root)
        case "nvml":
            from citadel_k8s.collectors.nvml import NvmlSource  # noqa: PLC0415

            return NvmlSource(root)
        case _:
            raise ValueError(f"there is no source {name!r}")


def main(argv: list[str]) -> int:
    """Answer requests until stdin ends."""
    names, root = argv[0].split(","), argv[1]
    child = Child(names, root, own_diary(), _own_stdout())
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        child.answer(requests.get())


def _own_stdout() -> int:
    # A driver library that prints must not be taken for an answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _read(requests: queue.SimpleQueue[bytes]) -> None:
    while line := sys.stdin.buffer.readline():
        requests.put(line)
    os._exit(0)  # the main thread may be stuck in a call for ever


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        os._exit(0)

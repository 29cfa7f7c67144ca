"""A collector child: ``python -m citadel_k8s.collectors.child SOURCE HOST_ROOT``.

It may hang at any moment and hold nobody up: a thread of its own waits for the end of stdin and
ends the process, so that no child outlives its parent however either came to its end.
"""

from __future__ import annotations

import os
import queue
import sys
import threading

from citadel_k8s.collectors.lines import (
    clean,
    decode_request,
    encode_answer,
    encode_call,
    failed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from citadel_k8s.collectors.lines import Source


def main(argv: list[str]) -> int:
    """Answer requests until stdin ends."""
    name, root = argv[0], argv[1]
    answers = _own_stdout()
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    source = _source(name, root)
    while True:
        number, skip = decode_request(requests.get())

        def announce(gpu: int | None, call: str, number: int = number) -> None:
            os.write(answers, encode_call(number, gpu, call))

        try:
            answer = source.collect(announce, skip)
        except Exception as error:  # noqa: BLE001 - whatever it was, the parent must hear of it
            answer = failed("CollectorError", clean(f"{type(error).__name__}: {error}"))
        _write_all(answers, encode_answer(number, answer))


def _source(name: str, root: str) -> Source:
    # Only what this child reads is imported: each library costs every child its memory.
    match name:
        case "host":
            from citadel_k8s.collectors.host import HostSource  # noqa: PLC0415

            return HostSource(root)
        case "nvml":
            from citadel_k8s.collectors.nvml import NvmlSource  # noqa: PLC0415

            return NvmlSource(root)
        case _:
            raise SystemExit(f"unknown source {name!r}: host or nvml")


def _own_stdout() -> int:
    # A driver library that prints must not be taken for an answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _read(requests: queue.SimpleQueue[bytes]) -> None:
    while line := sys.stdin.buffer.readline():
        requests.put(line)
    os._exit(0)  # the main thread may be stuck in a call for ever


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        os._exit(0)

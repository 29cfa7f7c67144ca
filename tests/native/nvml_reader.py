"""An NvmlSource in a process of its own, where the fake NVML is loaded, and its remote control.

One process serves many tests: each begins with a new source on a driver that is as new.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.native.fake_nvml import FakeNvml

ROOT = Path(__file__).parents[2]


class NvmlReader:
    """Reads a fake driver through the real source.

    Parameters
    ----------
    driver : FakeNvml
        What the library answers from.
    root : Path
        The host's root that the source looks into for the library.
    visible : bool
        Whether the library is on the loader's path.
    """

    def __init__(self, driver: FakeNvml, root: Path = Path("/"), *, visible: bool = True) -> None:
        self.driver = driver
        env = driver.env() if visible else driver.state_env()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.native.nvml_reader", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env | {"PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "1"},
        )

    def renew(self) -> None:
        """Begin with a new source on a whole driver."""
        self._do("stop")
        self.driver.reset()
        self._do("new")

    def collect(
        self, skip: dict[tuple[int | None, str], str] | None = None, **args: Any
    ) -> dict[str, Any]:
        """Give the answer of one collection."""
        pairs = [[gpu, call, why] for (gpu, call), why in (skip or {}).items()]
        return self._do("collect", skip=pairs, args=args)["answer"]

    def gpus(self, skip: dict[tuple[int | None, str], str] | None = None) -> list[dict[str, Any]]:
        """Give the GPUs of one collection that succeeds."""
        answer = self.collect(skip)
        assert answer["kind"] == "reading", answer
        return answer["value"]["gpus"]

    def calls(self) -> list[list[Any]]:
        """Give the calls that the last collection announced."""
        return self._do("calls")["calls"]

    def measure(self, times: int, *, stop: bool = False) -> dict[str, Any]:
        """Collect many times; with a stop of NVML before each if asked for."""
        return self._do("measure", times=times, stop=stop)

    def watch(self) -> None:
        """Listen to the driver's events from now on."""
        self._do("watch")

    def told(self) -> list[dict[str, Any]]:
        """Give the events told since this was last asked, each with its time of arrival."""
        return self._do("told")["told"]

    def wait_told(self, count: int = 1, seconds: float = 5.0) -> list[dict[str, Any]]:
        """Give the events once there are so many, or what there is after some seconds."""
        return self._do("wait", count=count, seconds=seconds)["told"]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def _do(self, what: str, **arguments: Any) -> dict[str, Any]:
        self._process.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer


class _Served:
    """The other side: the source and what it did."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._calls: list[tuple[int | None, str]] = []
        self._told: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self.new({})

    def new(self, _: dict[str, Any]) -> dict[str, Any]:
        from citadel_k8s.collectors.nvml import NvmlSource  # noqa: PLC0415

        self._source = NvmlSource(self._root)
        self._told.clear()
        return {}

    def stop(self, _: dict[str, Any]) -> dict[str, Any]:
        self._source._stop(self._announce, {})
        return {}

    def collect(self, request: dict[str, Any]) -> dict[str, Any]:
        self._calls.clear()
        skip = {(gpu, call): why for gpu, call, why in request["skip"]}
        return {"answer": self._source.collect(self._announce, skip, request["args"])}

    def calls(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"calls": self._calls}

    def measure(self, request: dict[str, Any]) -> dict[str, Any]:
        seconds = []
        for _ in range(request["times"]):
            if request["stop"]:
                self._source._stop(self._announce, {})
            self._calls.clear()
            before = time.thread_time()
            answer = self._source.collect(self._announce, {}, {})
            seconds.append(time.thread_time() - before)
            assert answer["kind"] == "reading", answer
        rollup = Path("/proc/self/smaps_rollup").read_text()
        private = next(line for line in rollup.splitlines() if line.startswith("Private_Dirty"))
        return {
            "cpu_seconds": seconds,
            "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            "private_kib": int(private.split()[1]),
        }

    def watch(self, _: dict[str, Any]) -> dict[str, Any]:
        threading.Thread(target=self._source.watch, args=(self._tell,), daemon=True).start()
        return {}

    def told(self, _: dict[str, Any]) -> dict[str, Any]:
        with self._arrived:
            told = list(self._told)
            self._told.clear()
        return {"told": told}

    def wait(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._arrived:
            enough = request["count"]
            self._arrived.wait_for(lambda: len(self._told) >= enough, request["seconds"])
        return self.told({})

    def _announce(self, gpu: int | None, call: str) -> None:
        self._calls.append((gpu, call))

    def _tell(self, event: dict[str, Any]) -> None:
        with self._arrived:
            self._told.append({**event, "at": time.monotonic()})  # noqa: TID251 - compared across processes
            self._arrived.notify_all()


def main() -> None:
    """Serve until stdin ends."""
    from citadel_k8s.collectors import nvml_events  # noqa: PLC0415

    nvml_events.WAIT_MILLISECONDS = 100
    served = _Served(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(served, request["do"])(request)
        except Exception as error:  # noqa: BLE001 - the test must hear of it
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

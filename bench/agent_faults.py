"""What the agent does when something breaks: hangs, errors of the driver, outages, storms.

Real agents on the fake NVML library and a real Valkey. The naive way for errors of the driver: a
reader that looks at the last error every 30 seconds, to which two equal ones are one.

Hangs: one agent for each source, and for all at once, five seconds between heartbeats. Outage:
half of the time the server hangs, half of it it is gone with all that it knew. Storms: collector
children that hang at their start, as fast as they can be forked, and starts of NVML in one child.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from bench._hangs import hangs
from bench._outage import outage
from bench._storms import storms
from bench._xids import clearing, latency
from bench.figures import Bench
from citadel_k8s.local.stack import Stack


async def faults(bench: Bench, folder: Path) -> None:
    """Run what goes with a server that works: side by side where nothing else is timed."""
    async with Stack(kube=False) as stack:
        for names in ("latency", "clearing", "hangs"):
            (folder / names).mkdir()
        async with asyncio.TaskGroup() as group:
            group.create_task(latency(bench, stack, folder / "latency"), name="latency")
            group.create_task(clearing(bench, stack, folder / "clearing"), name="clearing")
            if bench.quick:
                group.create_task(hangs(bench, stack, folder / "hangs"), name="hangs")
        if not bench.quick:
            await hangs(bench, stack, folder / "hangs")


async def outages(bench: Bench, folder: Path) -> None:
    """Run what needs a server of its own to break."""
    (folder / "outage").mkdir()
    async with Stack(kube=False) as stack:
        await outage(bench, stack, folder / "outage")


async def measure(bench: Bench) -> None:
    """Run all parts; what counts this process's own children has it for itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await storms(bench, folder)
        async with asyncio.TaskGroup() as group:
            group.create_task(faults(bench, folder), name="faults")
            group.create_task(outages(bench, folder), name="outages")


def main() -> int:
    """Run the benchmark."""
    bench = Bench("agent_faults", "What the agent does when something breaks")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

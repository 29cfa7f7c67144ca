"""What the API bears: lists and live questions, streams of changes, and heartbeats of the proxy.

Each part starts servers of its own and has its naive way beside it; see `bench._api_nodes`,
`bench._api_events` and `bench._api_proxy`, which can be run alone.
"""

import asyncio
import sys

from bench import _api_events, _api_nodes, _api_proxy
from bench.figures import Bench


async def measure(bench: Bench) -> None:
    """Run the parts one after another."""
    for part in (_api_nodes, _api_proxy, _api_events):
        await part.measure(bench)


def main() -> int:
    """Run the benchmark."""
    bench = Bench("api", "What the API bears")
    asyncio.run(measure(bench))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

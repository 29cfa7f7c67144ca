"""Whether one org is ever told anything of another, or changes it: 10,000 random requests.

The whole API on a real PostgreSQL and a real Valkey, with three orgs that have nodes of the same
ids. Requests go over all routes of the wiring, by credentials of each kind, and name what is one's
own, what is another's in every disguise, and what is nobody's; pages and nodes of each org listen
meanwhile. See ``tests/integration/api/isolation_run.py``.

A run is told again by its seed: ``--seed N``.
"""

import argparse
import asyncio
import logging
import sys

import structlog

from bench.figures import Bench
from citadel_k8s.config.server import ApiSettings
from citadel_k8s.local.stack import Stack
from citadel_k8s.stores.postgres import migrate
from tests.integration.api.conftest import running
from tests.integration.api.isolation_run import SETTINGS, Run, Tally

REQUESTS, QUICK_REQUESTS = 10_000, 600
ROUNDS, QUICK_ROUNDS = 12, 1
"""Times that each org asks alone, before and after which the others are looked at."""

SHOWN = 30
"""Failures that are told."""


async def measure(bench: Bench, seed: int) -> Tally:
    """Run once."""
    async with Stack(kube=False, postgres=True) as stack:
        url = await stack.postgres.create_database("isolation")
        await migrate.upgrade(url)
        settings = ApiSettings.model_validate(
            SETTINGS
            | {
                "database_url": url,
                "redis_url": stack.redis_url,
                "listen_host": "127.0.0.1",
                "listen_port": 0,
                "metrics_port": 0,
                "cookie_secure": False,
                "in_cluster": "off",
            }
        )
        async with running(settings) as api:
            total, rounds = (QUICK_REQUESTS, QUICK_ROUNDS) if bench.quick else (REQUESTS, ROUNDS)
            return await Run(api, seed).go(total, rounds)


def tell(bench: Bench, tally: Tally) -> None:
    """Record the figures."""
    for line in tally.wrong()[:SHOWN]:
        bench.say(line)
    bench.inform("requests", tally.total, "")
    for kind, count in sorted(tally.asked.items()):
        bench.inform(f"requests: {kind}", count, "")
    for kind, count in sorted(tally.heard.items()):
        bench.inform(f"own texts heard: {kind}", count, "")
    bench.inform("answered by the node itself", tally.live, "")
    bench.inform("answers below 400", sum(n for s, n in tally.statuses.items() if s < 400), "")
    bench.inform("pairs of a foreign and an unknown id", tally.pairs, "")
    bench.at_most("leaks", len(set(tally.leaks)), "", target=0)
    bench.at_most("foreign rows and keys changed", len(tally.changed), "", target=0)
    bench.at_most("answers that tell foreign from unknown", len(tally.told_apart), "", target=0)
    bench.at_most("answers of 500 and more", len(tally.broken), "", target=0)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the requests")
    bench = Bench("isolation", "Orgs beside each other", parser=parser)
    # Each of the requests would be a line.
    nothing = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=nothing)
    tell(bench, asyncio.run(measure(bench, bench.arguments.seed)))
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

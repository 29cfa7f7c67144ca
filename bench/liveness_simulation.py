"""Whether a living node is ever told dead or a dead one missed, in 10,000 days of bad weather.

Simulated time; the rules are the real ones. Two parts, both on fleets whose agents crash, hang, are
cut off, restarted, upgraded and flap, lose 30 % of their attempts or the answers to them, and are
heard by an operator that is paused and restarted, on a Redis that refuses, hangs, comes back empty
or as an older replica, and whose clock jumps:

- rules: the state machine of each node, with the reader and the scheduler modelled around it.
- parts: the real reader, registry, scheduler, pipe, canary and snapshot, on encoded messages.

The naive way, on the same history: a node is dead once its last entry is older than the timeout by
the operator's wall clock.

A trace that failed is named by its seed; ``--seed N --traces 1`` tells it again.
"""

import argparse
import logging
import multiprocessing
import statistics
import sys
from collections.abc import Iterator
from typing import Final

import structlog

from bench.figures import Bench, Curve
from tests.simulation.tally import Tally
from tests.simulation.traces import FLEET, fleet_day
from tests.simulation.truth import CLOCKWORK
from tests.simulation.whole import whole_fleet

PROCESSES: Final = 2
"""Processes at once: the cores of a small machine."""

NODE_DAYS: Final = 10_000
"""Node-days of the rules in a full run."""

QUICK_SHARE: Final = 0.05
"""Share of a full run that a quick one does."""

PARTS: Final = 48
"""Traces of the parts in a full run, of twelve nodes for three hours each."""

WATCHED: Final = (100.0, 190.0, 35.0)
"""Failure timeouts whose detection is told: of 30 s, 60 s, and the fast profile's 10 s."""


def one_trace(job: tuple[str, int]) -> tuple[str, Tally]:
    """Run one trace in a process of its own."""
    kind, seed = job
    nothing = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=nothing)
    tally = Tally()
    if kind == "rules":
        fleet_day(seed, tally)
    else:
        whole_fleet(seed, tally)
    return kind, tally


def run(bench: Bench, jobs: list[tuple[str, int]]) -> dict[str, Tally]:
    """Run all traces on two processes."""
    sums = {"rules": Tally(), "parts": Tally()}
    context = multiprocessing.get_context("spawn")
    with context.Pool(PROCESSES) as pool:
        done: Iterator[tuple[str, Tally]] = pool.imap_unordered(one_trace, jobs)
        for number, (kind, tally) in enumerate(done, 1):
            sums[kind].add(tally)
            if number % 50 == 0:
                bench.say(f"{number} of {len(jobs)} traces")
    return sums


def tell(bench: Bench, kind: str, tally: Tally) -> None:
    """Record the figures of one part."""
    for note in tally.notes:
        bench.say(f"{kind}: {note}")
    for name, count in (
        ("beats", tally.beats),
        ("deaths, hangs and cuts", tally.deaths),
        ("agents' restarts", tally.restarts),
        ("Redis outages", tally.outages),
        ("operator restarts", tally.operator_restarts),
        ("operator pauses", tally.pauses),
        ("clock jumps", tally.jumps),
    ):
        bench.inform(f"{kind}: {name}", count, "")
    false, missed = tally.false + tally.misdated, tally.missed
    bench.at_most(f"{kind}: false Offline", false, "nodes", target=0, naive=tally.naive_false)
    bench.at_most(f"{kind}: deaths missed", missed, "nodes", target=0, naive=tally.naive_missed)
    bench.at_most(f"{kind}: dead nodes told back", tally.raised, "nodes", target=0)
    undated = tally.raised_undated
    bench.inform(f"{kind}: told back by entries without an age", undated, "nodes")
    bench.at_most(f"{kind}: living nodes left Offline", tally.stuck, "nodes", target=0)
    # Nobody can tell these from dead ones; better agents make fewer of them.
    lost = tally.unlucky + tally.unlucky_after
    bench.inform(f"{kind}: Offline as all attempts were lost", lost, "nodes")
    bench.inform(f"{kind}: dead nodes held back in a collapse", tally.held, "nodes")
    bench.inform(f"{kind}: first word unread at the verdict", tally.raced, "nodes")


def tell_detection(bench: Bench, tally: Tally) -> None:
    """Record how soon deaths were told, where nothing else was broken."""
    for timeout in WATCHED:
        delays = sorted(tally.delays.get(timeout, ()))
        if len(delays) < 2:
            continue
        name = f"detection, timeout {timeout:g} s"
        bench.inform(f"{name}, median", statistics.median(delays), "s")
        bench.inform(f"{name}, p99", delays[int(0.99 * (len(delays) - 1))], "s")
        bench.at_most(f"{name}, latest", delays[-1], "s", target=timeout + CLOCKWORK + 2.5)
        ranks = [100 * (index + 1) / len(delays) for index in range(len(delays))]
        lines = {"death until Offline": (delays, ranks)}
        bench.curve(Curve(f"Detection, timeout {timeout:g} s", "seconds", "% of deaths", lines))
    bench.at_least("verdict after the timeout, soonest", min(tally.excess), "s", target=0)
    bench.at_most("verdict after the timeout, latest", max(tally.excess), "s", target=CLOCKWORK)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of the first trace")
    parser.add_argument("--traces", type=int, help="traces of each part, in place of all")
    parser.add_argument("--part", choices=("rules", "parts"), help="only this part")
    bench = Bench("liveness_simulation", "10,000 days of bad weather, simulated", parser=parser)
    share = QUICK_SHARE if bench.quick else 1.0
    given = bench.arguments
    rules = given.traces or round(NODE_DAYS / FLEET * share)
    parts = given.traces or max(1, round(PARTS * share))
    seeds = range(given.seed, given.seed + max(rules, parts))
    # The long ones first.
    jobs = [("parts", seed) for seed in seeds[:parts]] + [("rules", seed) for seed in seeds[:rules]]
    jobs = [job for job in jobs if given.part in {None, job[0]}]
    bench.say(f"{share:.0%} of a full run, seeds from {given.seed}")
    for kind, tally in run(bench, jobs).items():
        if tally.node_days:
            bench.inform(f"{kind}: node-days", tally.node_days, "")
            tell(bench, kind, tally)
            if tally.excess and kind == "rules":
                tell_detection(bench, tally)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())

"""One fleet for one day, told once and judged twice: by the real rules and by the naive way."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from citadel_k8s.domain.liveness import Policy
from citadel_k8s.models.fabricnode import NodeState
from tests.simulation.agents import BEAT, JUNK, Habits, Happening, Life
from tests.simulation.receiver import Change, Machine, Receiver, troubles
from tests.simulation.tally import Tally
from tests.simulation.truth import Truth
from tests.simulation.weather import DAY, READ_LATEST, Climate, Given, Weather, weather

FLEET: Final = 25
"""Nodes of one fleet: enough that its stream is seldom quiet."""

KINDS: Final = (
    # Weight, policy of the object, interval of the agent.
    (40, Policy(30, 3, 10), 30.0),
    (30, Policy(60, 3, 10), 60.0),
    (3, Policy(10, 3, 5), 10.0),
    (6, Policy(120, 3, 20), 120.0),
    (6, Policy(300, 2, 10), 300.0),
    (6, Policy(30, 2, 10), 30.0),
    (5, Policy(30, 5, 10), 45.0),
    (0.3, Policy(5, 3, 5), 5.0),
)
"""Kinds of nodes. Half of a real fleet's intervals would be 30 s; longer ones simulate faster."""


def habits(random: Random) -> Habits:
    """Draw a kind of node."""
    ((_, policy, interval),) = random.choices(KINDS, [kind[0] for kind in KINDS])
    old = random.random() < 0.1
    return Habits(policy, policy.interval if old else interval, old=old, loss=0.03 if old else 0.3)


def fleet_day(
    seed: int,
    tally: Tally,
    *,
    nodes: int = FLEET,
    days: float = 1.0,
    machine: Machine | None = None,
    climate: Climate | None = None,
    rates: Mapping[str, float] | None = None,
) -> None:
    """Simulate one fleet for some days and count; ``rates`` replace those of its `Habits`."""
    random = Random(seed)
    sky = weather(random, days * DAY, climate)
    lives = [
        Life(f"n{number}", replace(habits(random), **(rates or {})), sky, random)
        for number in range(nodes)
    ]
    told = [life.live() for life in lives]
    time_from = conceded(sky, told)
    shared = troubles(sky)
    for life, happenings in zip(lives, told, strict=True):
        tally.where = f"seed {seed}, {life.name}"
        truth = Truth(happenings, life.habits.policy, sky, time_from)
        receiver = Receiver(life.habits.policy, sky, time_from, machine or Machine())
        merged = sorted([*happenings, *shared], key=lambda happening: happening.read)
        truth.judge(receiver.follow(merged), tally)
        naive = Tally()
        truth.judge(naive_changes(happenings, life.habits.policy, sky), naive)
        tally.naive_false += naive.false
        tally.naive_missed += naive.missed
        tally.count(life, happenings)
    tally.count_weather(sky, nodes)


def conceded(
    sky: Weather, told: Sequence[Sequence[Happening]], slack: float = READ_LATEST
) -> list[Given | None]:
    """Give for each closure from when on everybody is given time to be heard; None for nobody.

    An operator that was there counts from the end, after a short one only for those who do not
    repeat what was lost; a new one takes it from a hole in the stream,
    and gives the whole timeout after one that is longer.
    """
    spoken = [h for happenings in told for h in happenings if h.code in {BEAT, JUNK}]
    spoken.sort(key=lambda h: h.landed)
    moments = [h.landed for h in spoken]
    found: list[Given | None] = []
    for closure in sky.closures:
        now = closure.end + READ_LATEST
        if closure.trouble != "restarted":
            everybody = closure.defers(slack)
            given = Given(now, unrepeated=not everybody)
            found.append(given if everybody or closure.fails else None)
            continue
        first = bisect_right(moments, sky.kept_since(closure.end))
        kept = [
            h.stamped
            for h in spoken[first : bisect_right(moments, closure.end)]
            if not sky.vanished(h.landed, closure.end)
        ]
        since, whole = _since_hole(kept, closure.end + sky.stretch(now).offset)
        found.append(Given(now - since, whole))
    return found


def _since_hole(stamps: Sequence[float], now: float) -> tuple[float, bool]:
    if not stamps or now - max(stamps) > Policy().stale_after:
        return 0.0, False
    newest, resumed, dark = 0.0, 0.0, 0.0
    for stamp in stamps:
        if stamp - newest > Policy().interval:
            resumed, dark = stamp, stamp - newest
        newest = max(newest, stamp)
    return max(0.0, now - resumed), dark > Policy().timeout


def naive_changes(happenings: Sequence[Happening], policy: Policy, sky: Weather) -> list[Change]:
    """Judge by the age of the last entry on the operator's wall clock, once a second."""
    changes: list[Change] = []
    heard = [(h.read, h.stamped) for h in happenings if h.code in {BEAT, JUNK}]
    timeout, down = policy.timeout, False
    walls = [(0.0, 0.0), *sky.wall_jumps, (sky.end, 0.0)]
    wall = 0
    for index, (read, stamped) in enumerate(heard):
        if down:
            changes.append(Change(read, NodeState.OFFLINE, NodeState.ONLINE))
            down = False
        upto = heard[index + 1][0] if index + 1 < len(heard) else sky.end
        while walls[wall + 1][0] <= read and wall + 2 < len(walls):
            wall += 1
        if upto < walls[wall + 1][0] and upto + walls[wall][1] - stamped <= timeout:
            continue
        fall = _naive_fall(walls[wall:], read, stamped + timeout, upto, sky)
        if fall is not None:
            changes.append(Change(fall, NodeState.ONLINE, NodeState.OFFLINE))
            down = True
    return changes


def _naive_fall(
    walls: Sequence[tuple[float, float]], since: float, limit: float, upto: float, sky: Weather
) -> float | None:
    for number, (start, offset) in enumerate(walls):
        end = walls[number + 1][0] if number + 1 < len(walls) else upto
        moment = max(since, start, limit - offset) + 0.5
        for closure in sky.closures:
            # It does not run; it reads first when it does.
            if not closure.redis_away and closure.start <= moment < closure.end + READ_LATEST:
                moment = closure.end + READ_LATEST
        if moment >= upto:
            return None
        if moment < end:
            return moment
    return None

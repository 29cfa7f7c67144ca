"""Rules about Redis: what it does when memory is full, whether heartbeats flow, who may what."""

from typing import TYPE_CHECKING, Final

from citadel_k8s.cli.doctor.cluster import skew
from citadel_k8s.cli.doctor.finding import Finding, Verdict, failure, listed, ok, unknown, warning
from citadel_k8s.constants import HEARTBEAT_INTERVAL, STALE_INTERVALS, STATUS_STREAM

if TYPE_CHECKING:
    from citadel_k8s.stores.inspection import Inspected

NOEVICTION: Final = "noeviction"
"""The one policy with which no stream vanishes while memory is short."""

FULL: Final = 0.9
"""Share of the memory limit from which writes will soon be refused."""

SILENT: Final = HEARTBEAT_INTERVAL * STALE_INTERVALS
"""Seconds without any entry from which no node speaks: half an interval more than a single node's
pause, and fleets have more than one."""

CHECKS: Final = ("redis", "redis-memory", "redis-stream", "redis-rights", "redis-clock")
"""What is found out about a Redis that can be asked."""


def judged(found: "Inspected", now: float) -> list[Finding]:
    """Judge all that a server told; ``now`` in seconds since the epoch by this machine's clock."""
    return [
        ok("redis", "Redis answers"),
        memory(found),
        stream(found),
        rights(found),
        clock(found, now),
    ]


def away(message: str) -> list[Finding]:
    """Judge a server that does not answer or takes no login."""
    fix = "kubectl -n citadel get pods -l app.kubernetes.io/name=citadel-redis"
    rest = [unknown(check, "Redis could not be asked") for check in CHECKS[1:]]
    return [failure("redis", message, fix), *rest]


def no_library(name: str | None) -> list[Finding]:
    """Say what is not installed here, without which Redis cannot be asked."""
    said = f"{name or 'redis'} is not installed here, without which Redis cannot be asked"
    fix = "pip install 'citadel-k8s[cli,operator]'"
    return [unknown("redis", said, fix), *(unknown(check, said) for check in CHECKS[1:])]


def by_hearsay(pipeline: Finding, space: str) -> list[Finding]:
    """Judge a server whose address nobody gave, by what the operator says of its pipeline."""
    forward = (
        f"kubectl -n {space} port-forward svc/citadel-redis 6379:6379, and then"
        " doctor --redis-url redis://127.0.0.1:6379 --redis-secret citadel-redis"
    )
    if pipeline.verdict is Verdict.OK:
        # What was not asked is no finding of its own: the operator's word covers what it uses.
        return [ok("redis", f"by the operator's word; --redis-url looks closer ({pipeline.said})")]
    return [
        unknown("redis", "no address of Redis was given, and the operator vouches not", forward)
    ]


def memory(found: "Inspected") -> Finding:
    """Judge what it does when memory is full, and how full it is."""
    check = "redis-memory"
    if found.policy is None:
        return unknown(check, "its eviction policy could not be looked at: needs +info")
    if found.policy != NOEVICTION and found.limit_bytes:
        return failure(
            check,
            f"maxmemory-policy is {found.policy}: heartbeats vanish when memory is short",
            "valkey-cli config set maxmemory-policy noeviction (and in its configuration file)",
        )
    if found.limit_bytes and found.memory_bytes and found.memory_bytes > FULL * found.limit_bytes:
        share = 100 * found.memory_bytes / found.limit_bytes
        return warning(
            check, f"memory is {share:.0f} % full: writes are refused at 100 %", "raise maxmemory"
        )
    if found.policy != NOEVICTION:
        return warning(
            check,
            f"maxmemory-policy is {found.policy}, without effect while there is no maxmemory",
            "valkey-cli config set maxmemory-policy noeviction",
        )
    return ok(check, "maxmemory-policy is noeviction")


def stream(found: "Inspected") -> Finding:
    """Judge whether heartbeats flow."""
    check = "redis-stream"
    fix = "kubectl -n citadel logs daemonset/citadel-agent --tail 20"
    if found.stream is None:
        return unknown(check, f"{STATUS_STREAM} could not be looked at: needs +xinfo|stream")
    if not found.stream:
        return failure(check, f"there is no {STATUS_STREAM}: no agent ever wrote here", fix)
    if found.last_ms is None or found.server_ms is None:
        return unknown(check, f"how old the last entry of {STATUS_STREAM} is, is not known")
    age = (found.server_ms - found.last_ms) / 1000
    if age > SILENT:
        return failure(check, f"the last of {found.length} heartbeats is {age:.0f} s old", fix)
    return ok(check, f"{found.length} heartbeats, the last {max(0.0, age):.0f} s ago")


def rights(found: "Inspected") -> Finding:
    """Judge what its user may do, of what an operator does."""
    check = "redis-rights"
    if found.refused:
        return failure(
            check,
            f"the user may not use {listed(found.refused, 5)}",
            "give it the operator's rules of manifests/redis.yaml (ACL SETUSER), or log in as that",
        )
    return ok(check, "the user may read heartbeats and the operator's own keys")


def clock(found: "Inspected", now: float) -> Finding:
    """Judge the server's clock, by which heartbeats are dated."""
    if found.server_ms is None:
        return unknown("redis-clock", "its clock could not be looked at: needs +time")
    return skew("redis-clock", now - found.server_ms / 1000, "this machine", "Redis")

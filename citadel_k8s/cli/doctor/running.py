"""Runs the checks side by side, each with a deadline; what goes wrong is a finding, too."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from citadel_k8s.cli.doctor.checks import Check
from citadel_k8s.cli.doctor.finding import Finding, failure, unknown
from citadel_k8s.errors import CitadelError, KubeError

DEADLINE: Final = 5.0
"""Seconds for one check. They run side by side, so that this is what a whole report takes at most;
an idle API server answers all of it in half a second."""

FORBIDDEN: Final = 403
UNAUTHORIZED: Final = 401


async def run(checks: Sequence[Check], *, deadline: float = DEADLINE) -> list[Finding]:
    """Run checks; give their findings in the order of the checks.

    Parameters
    ----------
    deadline : float
        Seconds for each.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_bounded(check, deadline), name=check.names[0]) for check in checks
        ]
    return [finding for task in tasks for finding in task.result()]


async def _bounded(check: Check, deadline: float) -> list[Finding]:
    try:
        async with asyncio.timeout(deadline):
            return await check.look()
    except TimeoutError:
        if check.names == ("api-server",):
            said = f"the API server did not answer within {deadline:g} s"
            return [failure("api-server", said, "kubectl cluster-info")]
        return [unknown(name, f"no answer within {deadline:g} s") for name in check.names]
    except KubeError as error:
        return [unknown(name, _lacking(error)) for name in check.names]
    except CitadelError as error:
        return [unknown(name, str(error)) for name in check.names]


def _lacking(error: KubeError) -> str:
    """Say in a few words what a look needs that was refused."""
    if error.status == UNAUTHORIZED:
        return "the API server does not take these credentials"
    if error.status != FORBIDDEN:
        return str(error)
    found = re.search(
        r'cannot (\w+) resource "([\w./-]+)"(?: in API group "([\w.]*)")?'
        r'(?:.* in the namespace "([\w.-]+)")?',
        str(error),
    )
    if found is None:
        return str(error)
    verb, resource, group, space = found.groups()
    place = f" in namespace {space}" if space else ""
    return f"needs {verb} on {resource}{'.' + group if group else ''}{place}"

"""Words that a shell completes: states, orders, and the names of nodes."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import typer

from citadel_k8s.domain.standing import ATTENTION, SORTS

DEADLINE: Final = 2.0
"""Seconds after which nothing is suggested: a person who pressed a key waits no longer."""

_HARMLESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What of a node may stand in a command line. Shells evaluate some of what they complete (that of
zsh all of it), and a person sends it off unread: a node called ``$(…)`` would be a command, and one
called ``--api=…`` an option."""


def states(incomplete: str) -> list[str]:
    """Give states; after a comma one more."""
    before, comma, part = incomplete.rpartition(",")
    head = before + comma
    return [head + state for state in ATTENTION if state.lower().startswith(part.lower())]


def sorts(incomplete: str) -> list[str]:
    """Give orders."""
    sign = "-" if incomplete.startswith("-") else ""
    return [sign + name for name in SORTS if (sign + name).startswith(incomplete)]


def node_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give names of nodes, from where the command would ask; none where that does not answer."""
    from citadel_k8s.cli.fabric.options import Place  # noqa: PLC0415 - see the package cli
    from citadel_k8s.cli.fabric.running import ask  # noqa: PLC0415
    from citadel_k8s.domain.fleetrows import name_of  # noqa: PLC0415

    given: dict[str, Any] = ctx.params
    place = Place(
        given.get("api"),
        _path(given.get("token_file")),
        bool(given.get("insecure")),
        _path(given.get("kubeconfig")),
        given.get("context"),
        DEADLINE,
    )
    try:
        rows = ask(place, lambda source: source.nodes(), deadline=DEADLINE)
    except Exception:  # noqa: BLE001 - whatever it is, a shell has no place to say it
        return []
    names = filter(None, map(_word, ((name_of(row), row.get("id")) for row in rows)))
    return sorted(name for name in names if name.startswith(incomplete))


def _word(names: Iterable[Any]) -> str | None:
    """Give the first of a node's names that is fit for a command line."""
    texts = (str(name) for name in names if name is not None)
    return next((text for text in texts if _HARMLESS.fullmatch(text)), None)


def _path(value: Any) -> Path | None:
    return None if value is None else Path(value)

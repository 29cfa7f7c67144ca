"""Which rows are meant: the filters and the words of the API's list, for rows held here.

A watch brings all rows, and an API server knows none of these filters but labels.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from citadel_k8s.domain.fleetrows import name_of, part, parts
from citadel_k8s.domain.search import Places, Search, Test
from citadel_k8s.domain.standing import ATTENTION
from citadel_k8s.errors import ConfigError

STATES: Final = {state.casefold(): state for state in ATTENTION}
"""States by their names as people type them."""

Row = Mapping[str, Any]


class Filter:
    """Says which rows are meant. Decommissioned ones only where that state is asked for.

    Parameters
    ----------
    state : str or None
        States, separated by commas.
    model, gpu : str or None
        A part of the name of a model that is served, or of a GPU.
    label : str or None
        As kubectl's selectors: ``key``, ``!key``, ``key=value``, ``key!=value``, by commas.
    q : str or None
        Words that must all be found; ``state:``, ``gpu:``, ``model:``, ``label:`` and
        ``version:<1.2`` look in one place.

    Raises
    ------
    ConfigError
        Where a filter is none.
    """

    def __init__(
        self,
        *,
        state: str | None = None,
        model: str | None = None,
        gpu: str | None = None,
        label: str | None = None,
        q: str | None = None,
    ) -> None:
        asked = (("state", state), ("model", model), ("gpu", gpu), ("label", label))
        filters = [(kind, text) for kind, text in asked if text]
        self._search = Search(_PLACES, filters, (q or "").split())

    @property
    def gone(self) -> bool:
        """Whether nodes are asked for that were given up."""
        return self._search.given_up

    def takes(self, row: Row) -> bool:
        """Whether a row is meant."""
        return self._search.takes(row)


def _states(text: str) -> frozenset[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in STATES]
    if unknown or not names:
        raise ConfigError(f"state {(unknown or [text])[0]!r} is none of {', '.join(ATTENTION)}")
    return frozenset(STATES[name] for name in names)


def _labels(text: str) -> Test[Row]:
    tests = [_label(one.strip()) for one in text.split(",") if one.strip()]
    return lambda row: all(test(part(row, "labels")) for test in tests)


def _label(text: str) -> Callable[[Mapping[str, Any]], bool]:
    key, differs, value = text.partition("!=")
    if differs:
        return lambda labels: labels.get(key.strip()) != value.strip()
    key, equals, value = text.partition("=")
    if equals:
        return lambda labels: labels.get(key.strip()) == value.removeprefix("=").strip()
    if text.startswith("!"):
        return lambda labels: text[1:].strip() not in labels
    return lambda labels: text in labels


def _agent(row: Row) -> str:
    return str(part(row, "profile").get("agent") or "")


def _models(row: Row) -> list[str]:
    return [str(name) for name in part(row, "profile").get("models") or ()]


def _gpus(row: Row) -> list[str]:
    return [str(gpu.get("model", "")) for gpu in parts(part(row, "profile"), "gpus")]


def _text(row: Row) -> str:
    profile = part(row, "profile")
    words = [
        *(row.get("id"), name_of(row), row.get("headscaleId")),
        *(profile.get(key) for key in ("name", "address", "agent", "driver", "transport")),
        *(*_gpus(row), *_models(row)),
        *(f"{key}={value}" for key, value in part(row, "labels").items()),
    ]
    return "\n".join(str(word) for word in words if word).casefold()


_PLACES: Final[Places[Row]] = Places(
    state=lambda row: str(row.get("state")),
    agent=_agent,
    models=_models,
    gpus=_gpus,
    text=_text,
    states=_states,
    label=_labels,
)

"""Which rows are meant: the filters and the words of the API's list, for rows held here.

A watch brings all rows, and an API server knows none of these filters but labels.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from citadel_k8s.domain.fleetrows import ATTENTION, name_of, part, parts
from citadel_k8s.errors import ConfigError

STATES: Final = {state.casefold(): state for state in ATTENTION}
"""States by their names as people type them."""

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

_TYPED: Final = re.compile(r"(state|phase|gpu|model|label|version):(.+)", re.IGNORECASE)
_VERSION: Final = re.compile(r"(<=|>=|<|>|=)?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})")


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
        self.gone = False
        self._tests: list[Test] = []
        for kind, text in (("state", state), ("model", model), ("gpu", gpu), ("label", label)):
            if text:
                self._tests.append(self._typed(kind, text))
        self._tests += [self._word(word) for word in (q or "").split()]

    def takes(self, row: Row) -> bool:
        """Whether a row is meant."""
        if row.get("state") == "Decommissioned" and not self.gone:
            return False
        return all(test(row) for test in self._tests)

    def _word(self, word: str) -> Test:
        match = _TYPED.fullmatch(word)
        if match:
            return self._typed(match[1].casefold(), match[2])
        folded = word.casefold()
        return lambda row: folded in _text(row)

    def _typed(self, kind: str, text: str) -> Test:
        folded = text.casefold()
        if kind in {"state", "phase"}:
            return self._states(folded)
        if kind == "model":
            return lambda row: any(folded in name.casefold() for name in _models(row))
        if kind == "gpu":
            return lambda row: any(folded in name.casefold() for name in _gpus(row))
        return _labels(text) if kind == "label" else _version(text)

    def _states(self, text: str) -> Test:
        names = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in names if name not in STATES]
        if unknown or not names:
            raise ConfigError(f"state {(unknown or [text])[0]!r} is none of {', '.join(ATTENTION)}")
        wanted = frozenset(STATES[name] for name in names)
        self.gone = self.gone or "Decommissioned" in wanted
        return lambda row: row.get("state") in wanted


def _labels(text: str) -> Test:
    tests = [_label(one.strip()) for one in text.split(",") if one.strip()]
    return lambda row: all(test(part(row, "labels")) for test in tests)


def _label(text: str) -> Test:
    key, differs, value = text.partition("!=")
    if differs:
        return lambda labels: labels.get(key.strip()) != value.strip()
    key, equals, value = text.partition("=")
    if equals:
        return lambda labels: labels.get(key.strip()) == value.removeprefix("=").strip()
    if text.startswith("!"):
        return lambda labels: text[1:].strip() not in labels
    return lambda labels: text in labels


def _version(text: str) -> Test:
    match = _VERSION.fullmatch(text)
    if match is None:
        folded = text.casefold()
        return lambda row: folded in _agent(row).casefold()
    sign, wanted = match[1], _numbers(match[2])

    def test(row: Row) -> bool:
        agent = _agent(row)
        if not agent:
            return False
        if sign is None:
            return agent.lstrip("v").startswith(text)
        has = _numbers(agent)
        return {
            "<": has < wanted,
            "<=": has <= wanted,
            ">": has > wanted,
            ">=": has >= wanted,
            "=": has == wanted,
        }[sign]

    return test


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"v?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})", version)
    numbers = [int(number) for number in found[1].split(".")] if found else []
    return tuple((numbers + [0] * 4)[:4])


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

"""The language in which nodes are looked for: filters, and words of which all must be found.

What is searched is the caller's affair, and how it refuses a state that there is not.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")

Test: TypeAlias = Callable[[T], bool]
"""Says whether something is meant."""

GIVEN_UP: Final = "Decommissioned"
"""The state of nodes that are shown only where it is asked for."""

_TYPED: Final = re.compile(r"(state|phase|gpu|model|label|version):(.+)", re.IGNORECASE)
_VERSION: Final = re.compile(r"(<=|>=|<|>|=)?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})")


@dataclass(frozen=True, slots=True)
class Places(Generic[T]):
    """Where the words of a search look, and how those are read that not everybody reads alike.

    Attributes
    ----------
    state, agent
        The node's state, and its agent's version; empty if it is not known.
    models, gpus
        Names of the models that it serves and of its GPUs.
    text
        All that a free word may stand in, case-folded.
    states
        Reads case-folded names of states, separated by commas; raises where one is none.
    label
        Reads a label that is asked for.
    """

    state: Callable[[T], str]
    agent: Callable[[T], str]
    models: Callable[[T], Iterable[str]]
    gpus: Callable[[T], Iterable[str]]
    text: Callable[[T], str]
    states: Callable[[str], frozenset[str]]
    label: Callable[[str], Test[T]]


class Search(Generic[T]):
    """Says what is meant.

    Parameters
    ----------
    places : Places
        Where to look.
    filters : sequence of (str, str)
        Kinds (state, model, gpu, label, version) with what is asked of them.
    words : sequence of str
        Must all be found; ``state:``, ``gpu:``, ``model:``, ``label:`` and ``version:<1.2`` look
        in one place.

    Attributes
    ----------
    given_up
        Whether those are asked for that were given up.
    """

    def __init__(
        self, places: Places[T], filters: Sequence[tuple[str, str]], words: Sequence[str]
    ) -> None:
        self._places = places
        self.given_up = False
        self._tests = [self._typed(kind, text) for kind, text in filters]
        self._tests += [self._word(word) for word in words]

    def takes(self, one: T) -> bool:
        """Whether this is meant; what was given up only where its state is asked for."""
        if not self.given_up and self._places.state(one) == GIVEN_UP:
            return False
        return all(test(one) for test in self._tests)

    def _word(self, word: str) -> Test[T]:
        match = _TYPED.fullmatch(word)
        if match:
            return self._typed(match[1].casefold(), match[2])
        folded, text = word.casefold(), self._places.text
        return lambda one: folded in text(one)

    def _typed(self, kind: str, text: str) -> Test[T]:
        folded, places = text.casefold(), self._places
        if kind in {"state", "phase"}:
            return self._states(folded)
        if kind == "model":
            return lambda one: any(folded in name.casefold() for name in places.models(one))
        if kind == "gpu":
            return lambda one: any(folded in name.casefold() for name in places.gpus(one))
        return places.label(text) if kind == "label" else _version(text, places.agent)

    def _states(self, text: str) -> Test[T]:
        wanted, state = self._places.states(text), self._places.state
        self.given_up = self.given_up or GIVEN_UP in wanted
        return lambda one: state(one) in wanted


def _version(text: str, agent: Callable[[T], str]) -> Test[T]:
    match = _VERSION.fullmatch(text)
    if match is None:
        folded = text.casefold()
        return lambda one: folded in agent(one).casefold()
    sign, wanted = match[1], _numbers(match[2])

    def test(one: T) -> bool:
        version = agent(one)
        if not version:
            return False
        if sign is None:
            return version.lstrip("v").startswith(text)
        has = _numbers(version)
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

"""Which nodes are asked for: filters, and the words of a search."""

import re
from collections.abc import Callable
from typing import Final

from citadel_k8s.api.fabric.rows import Item
from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.models.fabricnode import NodeState

WORDS_MAX: Final = 16
"""Most words of one search: each is looked for in each node."""

FILTER_MAX: Final = 512
"""Longest filter, in characters."""

STATES: Final = {state.casefold(): state for state in NodeState}
"""States by their names as people type them."""

Test = Callable[[Item], bool]

_TYPED: Final = re.compile(r"(state|phase|gpu|model|label|version):(.+)", re.IGNORECASE)
_VERSION: Final = re.compile(r"(<=|>=|<|>|=)?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})")


class Selection:
    """Says which nodes were asked for.

    Nodes that people gave up are in the list only when their state is asked for.

    Parameters
    ----------
    state : str or None
        States, separated by commas.
    model, gpu : str or None
        A part of the name of a model that is served, or of a GPU.
    label : str or None
        ``key`` or ``key=value``.
    q : str or None
        Words that must all be found; ``state:``, ``gpu:``, ``model:``, ``label:`` and
        ``version:<1.2`` look in one place.

    Raises
    ------
    RefusalError
        400, where a filter is none.
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
        self.key = (state, model, gpu, label, q)
        words = (q or "").split()
        if len(words) > WORDS_MAX:
            raise bad_request(f"q has {len(words)} words; at most {WORDS_MAX}")
        self._tests: list[Test] = []
        self._gone = False
        for kind, text in (("state", state), ("model", model), ("gpu", gpu), ("label", label)):
            if text is not None:
                self._tests.append(self._typed(kind, text))
        self._tests += [self._word(word) for word in words]

    def takes(self, item: Item) -> bool:
        """Whether a node was asked for."""
        if item.state is NodeState.DECOMMISSIONED and not self._gone:
            return False
        return all(test(item) for test in self._tests)

    def _word(self, word: str) -> Test:
        match = _TYPED.fullmatch(word)
        if match:
            return self._typed(match[1].casefold(), match[2])
        folded = word.casefold()
        return lambda item: folded in item.text

    def _typed(self, kind: str, text: str) -> Test:
        folded = text.casefold()
        if kind in {"state", "phase"}:
            return self._states(folded)
        if kind == "model":
            return lambda item: any(folded in name.casefold() for name in item.models)
        if kind == "gpu":
            return lambda item: any(folded in name.casefold() for name in item.gpu_models)
        return _label(text) if kind == "label" else _version(text)

    def _states(self, text: str) -> Test:
        names = [name.strip() for name in text.split(",")]
        unknown = [name for name in names if name not in STATES]
        if unknown:
            raise bad_request(f"state: {unknown[0][:40]!r} is none of {', '.join(NodeState)}")
        wanted = frozenset(STATES[name] for name in names)
        self._gone = self._gone or NodeState.DECOMMISSIONED in wanted
        return lambda item: item.state in wanted


def _label(text: str) -> Test:
    key, equals, value = text.partition("=")
    if not equals:
        return lambda item: key in item.labels
    return lambda item: item.labels.get(key) == value


def _version(text: str) -> Test:
    match = _VERSION.fullmatch(text)
    if match is None:
        folded = text.casefold()
        return lambda item: folded in str(item.profile.get("agent", "")).casefold()
    sign, wanted = match[1], _numbers(match[2])

    def test(item: Item) -> bool:
        agent = str(item.profile.get("agent") or "")
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
    numbers = [int(part) for part in found[1].split(".")] if found else []
    return tuple((numbers + [0] * 4)[:4])

"""Which nodes are asked for: filters, and the words of a search."""

from typing import Final

from citadel_k8s.api.fabric.rows import Item
from citadel_k8s.api.frame.refusal import bad_request
from citadel_k8s.domain.search import Places, Search, Test
from citadel_k8s.models.fabricnode import NodeState

WORDS_MAX: Final = 16
"""Most words of one search: each is looked for in each node."""

FILTER_MAX: Final = 512
"""Longest filter, in characters."""

STATES: Final = {state.casefold(): state for state in NodeState}
"""States by their names as people type them."""


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
        asked = (("state", state), ("model", model), ("gpu", gpu), ("label", label))
        filters = [(kind, text) for kind, text in asked if text is not None]
        self._search = Search(_PLACES, filters, words)

    def takes(self, item: Item) -> bool:
        """Whether a node was asked for."""
        return self._search.takes(item)


def _states(text: str) -> frozenset[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in STATES]
    if unknown:
        raise bad_request(f"state: {unknown[0][:40]!r} is none of {', '.join(NodeState)}")
    return frozenset(STATES[name] for name in names)


def _label(text: str) -> Test[Item]:
    key, equals, value = text.partition("=")
    if not equals:
        return lambda item: key in item.labels
    return lambda item: item.labels.get(key) == value


_PLACES: Final[Places[Item]] = Places(
    state=lambda item: item.state,
    agent=lambda item: str(item.profile.get("agent") or ""),
    models=lambda item: item.models,
    gpus=lambda item: item.gpu_models,
    text=lambda item: item.text,
    states=_states,
    label=_label,
)

"""Names of engines that were found: told once, they stay while the engine does."""

from collections.abc import Hashable, Iterable


class Names:
    """Gives each find a name that no other service of the node has."""

    def __init__(self) -> None:
        self._given: dict[Hashable, str] = {}

    def keep(self, keys: Iterable[Hashable], taken: Iterable[str]) -> None:
        """Forget finds that are gone, and names that are configured for something else now."""
        held, reserved = set(keys), set(taken)
        self._given = {k: n for k, n in self._given.items() if k in held and n not in reserved}
        self._taken = reserved | set(self._given.values())

    def of(self, key: Hashable, wish: str, port: int | None) -> str:
        """Give the name: what is wished for, else with the port, else with a number."""
        given = self._given.get(key)
        if given is not None:
            return given
        candidates = [wish, f"{wish}-{port}"]
        candidates += [f"{wish}-{port}-{n}" for n in range(2, len(self._taken) + 3)]
        name = next(c for c in candidates if c not in self._taken)
        self._given[key] = name
        self._taken.add(name)
        return name

"""How far into the stream the operator before this one counted, node by node.

An entry's age tells an old word from a new one, but not while the stream server's clock stands
behind the ids that it gave: they all have the same milliseconds then, and each looks as if it had
just come. Their order stays right.
"""

from citadel_k8s.stores.entries import EntryId


class Counted:
    """The last counted entry of each node.

    Attributes
    ----------
    upto
        The last of all.
    """

    __slots__ = ("_places", "upto")

    def __init__(self) -> None:
        self._places: dict[str, EntryId] = {}
        self.upto = EntryId.ZERO

    def note(self, node_id: str, place: EntryId | None) -> None:
        """Take a node's last entry; None if it is not known."""
        if place is not None:
            self._places[node_id] = place
            self.upto = max(self.upto, place)

    def clear(self) -> None:
        """Forget all: it has been read again, or the stream is another one."""
        self._places, self.upto = {}, EntryId.ZERO

    def covers(self, node_id: str, place: EntryId) -> bool:
        """Say whether what lies there was counted, or passed over, before."""
        return place <= self._places.get(node_id, EntryId.ZERO)

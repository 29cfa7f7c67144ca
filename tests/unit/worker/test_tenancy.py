"""Whose node an entry speaks of."""

from collections.abc import Collection

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.worker.tenancy import KNOWN_SECONDS, Asked, Tenancy


class Book:
    def __init__(self) -> None:
        self.orgs = {"acme", "other"}
        self.nodes: dict[str, list[str]] = {}
        self.mesh: dict[str, list[str]] = {}
        self.questions: list[set[str]] = []

    async def enabled(self, org_ids: Collection[str]) -> set[str]:
        self.questions.append(set(org_ids))
        return self.orgs & set(org_ids)

    async def org_of_node(self, node_ids: Collection[str]) -> dict[str, list[str]]:
        self.questions.append(set(node_ids))
        return {name: self.nodes[name] for name in node_ids if name in self.nodes}

    async def org_of_headscale(self, headscale_ids: Collection[str]) -> dict[str, list[str]]:
        self.questions.append(set(headscale_ids))
        return {name: self.mesh[name] for name in headscale_ids if name in self.mesh}


async def owner(tenancy: Tenancy, asked: Asked) -> str | None:
    return (await tenancy.of({asked}))[asked]


async def test_a_stamp_wins_over_all_that_is_known():
    book = Book()
    book.nodes["n1"] = ["other"]
    tenancy = Tenancy(book, "acme", ManualClock())
    assert await owner(tenancy, Asked("acme", "n1", None)) == "acme"
    assert await owner(tenancy, Asked("nobody", "n1", None)) is None


async def test_without_a_stamp_the_one_org_that_has_the_node_has_it():
    book = Book()
    book.nodes = {"theirs": ["other"], "both": ["acme", "other"]}
    book.mesh = {"7": ["other"], "8": ["acme", "other"]}
    for fallback in (None, "acme"):
        tenancy = Tenancy(book, fallback, ManualClock())
        assert await owner(tenancy, Asked(None, "theirs", "8")) == "other"
        assert await owner(tenancy, Asked(None, "x", "7")) == "other"
        assert await owner(tenancy, Asked(None, "both", None)) == fallback
        assert await owner(tenancy, Asked(None, "x", "8")) == fallback
        assert await owner(tenancy, Asked(None, "x", None)) == fallback


async def test_the_fallback_has_to_exist_too():
    assert await owner(Tenancy(Book(), "gone", ManualClock()), Asked(None, "x", None)) is None


async def test_what_was_found_and_what_was_not_is_remembered_for_a_minute():
    book, clock = Book(), ManualClock()
    tenancy = Tenancy(book, None, clock)
    stranger, guest = Asked(None, "x", "7"), Asked("new", "y", None)
    assert [await owner(tenancy, one) for one in (stranger, guest)] == [None, None]
    book.orgs.add("new")
    book.nodes["x"] = ["new"]
    asked = len(book.questions)
    clock.advance(KNOWN_SECONDS - 1)
    assert [await owner(tenancy, one) for one in (stranger, guest)] == [None, None]
    assert len(book.questions) == asked
    clock.advance(2)
    assert [await owner(tenancy, one) for one in (stranger, guest)] == ["new", "new"]
    book.orgs.discard("new")
    clock.advance(KNOWN_SECONDS + 1)
    assert await owner(tenancy, guest) is None

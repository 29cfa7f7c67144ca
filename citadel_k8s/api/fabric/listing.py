"""``GET /api/fabric/nodes``: the list, a page at a time."""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from aiohttp import web

from citadel_k8s.api.fabric.cursor import decode_cursor, encode_cursor, question_of
from citadel_k8s.api.fabric.pages import Page, give, version_of
from citadel_k8s.api.fabric.queries import NodesQuery
from citadel_k8s.api.fabric.rows import Item, moment
from citadel_k8s.api.fabric.selecting import Selection
from citadel_k8s.api.fabric.shelf import Listing, Shelf
from citadel_k8s.api.fabric.sorting import Order, order_of
from citadel_k8s.api.frame.route import Call

PAGES_KEPT: Final = 8
"""Pages kept of one reading, for all who ask the same within its second; each is up to 2 MB."""


class NodeList:
    """Answers with lists of nodes.

    Parameters
    ----------
    shelf : Shelf
        Has the nodes.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def __call__(self, call: Call) -> web.StreamResponse:
        """Answer with a JSON array.

        ``X-Total-Count`` counts all that were asked for; ``Link`` and ``X-Next-Cursor`` lead to
        the next page. ``X-Citadel-As-Of`` is the moment up to which heartbeats are counted,
        ``X-Citadel-Ingest-Lag`` the seconds since that was told: without them nobody can tell a
        quiet fleet from a dead worker. A stream that goes on after ``X-Citadel-Position`` tells
        all that happened since the rows were read.
        """
        query = call.asked(NodesQuery)
        # Refused before anything is read.
        order = order_of(query.sort)
        selection = Selection(
            state=query.state, model=query.model, gpu=query.gpu, label=query.label, q=query.q
        )
        question = question_of(order.name, *selection.key)
        last = decode_cursor(query.cursor, question, order.kinds) if query.cursor else None
        listing = await self._shelf.listing(call.who.org_id)
        key = (question, query.cursor, query.limit)
        page = listing.pages.get(key)
        if page is None:
            asked = _Asked(order, selection, question, last, query.limit)
            page = _page(listing, asked)
            if len(listing.pages) < PAGES_KEPT:
                listing.pages[key] = page
        return await give(call, page, _beside(call, page, listing))


@dataclass(frozen=True, slots=True)
class _Asked:
    order: Order
    selection: Selection
    question: str
    last: tuple[object, ...] | None
    limit: int


def _page(listing: Listing, asked: _Asked) -> Page:
    order = asked.order
    chosen = [item for item in listing.sorted(order) if asked.selection.takes(item)]
    rest = chosen if asked.last is None else order.after(chosen, asked.last)
    items = list(islice(rest, asked.limit))
    headers = {"X-Total-Count": str(len(chosen))}
    if len(rest) > len(items):
        headers["X-Next-Cursor"] = encode_cursor(asked.question, order.key(items[-1]))
    body = b"[" + b",".join(_encoded(listing, item) for item in items) + b"]"
    beside = "\n".join(headers.values()).encode()
    return Page(body, version_of(*(item.head for item in items), beside), headers)


def _encoded(listing: Listing, item: Item) -> bytes:
    return item.encoded(listing.judge.age(item))


def _beside(call: Call, page: Page, listing: Listing) -> dict[str, str]:
    headers = {"X-Citadel-Time": moment(listing.ingested.now_ms) or ""}
    if (as_of := moment(listing.frontier_ms)) is not None:
        headers["X-Citadel-As-Of"] = as_of
    if (lag := listing.lag_seconds) is not None:
        headers["X-Citadel-Ingest-Lag"] = f"{lag:.1f}"
    if listing.position is not None:
        headers["X-Citadel-Position"] = str(listing.position)
    cursor = page.headers.get("X-Next-Cursor")
    if cursor is not None:
        following = call.request.rel_url.update_query(cursor=cursor)
        headers["Link"] = f'<{following.raw_path_qs}>; rel="next"'
    return headers

"""The list of lines: paints those in view and no others, so that a fleet of any size is smooth."""

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.console import Console
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from typing_extensions import override

from citadel_k8s.aio.clock import Clock
from citadel_k8s.cli.top.order import Line
from citadel_k8s.cli.top.painting import painted

HEAD: Final = 19
"""Cells of a line that the cursor covers: the name, before any bar begins."""

_CURSOR = Style(reverse=True)
_DIM = Style(dim=True)
_CONSOLE = Console()  # looks styles up by name; nothing is printed on it


class Listing(ScrollView, can_focus=True):
    """One line for each GPU and each node's header; a cursor that stays on its line.

    Parameters
    ----------
    clock : Clock
        For ages.
    """

    DEFAULT_CSS = """
    Listing { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        ("up,k", "move(-1)", ""),
        ("down,j", "move(1)", ""),
        ("pageup,ctrl+b", "page(-1)", ""),
        ("pagedown,ctrl+f", "page(1)", ""),
        ("home,g", "move(-1000000)", ""),
        ("end,G", "move(1000000)", ""),
    ]

    def __init__(self, clock: Clock) -> None:
        super().__init__(id="list")
        self._clock = clock
        self._lines: Sequence[Line] = ()
        self._grouped = True
        self._old = False
        self.row = 0

    def show(self, lines: Sequence[Line], *, grouped: bool, old: bool) -> None:
        """Show lines; ``old``: none of them can be believed to be as it is now."""
        held = self._key(self.row)
        moved = len(lines) != len(self._lines)
        self._lines, self._grouped, self._old = lines, grouped, old
        if self._key(self.row) != held:
            self.row = next((n for n in range(len(lines)) if self._key(n) == held), self.row)
        self.row = max(0, min(self.row, len(lines) - 1))
        if moved:
            self.virtual_size = Size(self.size.width, len(lines))
        self.refresh()

    def in_view(self) -> list[str]:
        """Give the ids of the nodes with a line in view, from the top."""
        top = round(self.scroll_offset.y)
        shown = self._lines[top : top + self.size.height]
        return list(dict.fromkeys(line.node.id for line in shown))

    @override
    def render_line(self, y: int) -> Strip:
        number = round(self.scroll_offset.y) + y
        width = self.size.width
        if number >= len(self._lines):
            return Strip.blank(width)
        text = painted(self._lines[number], width, self._clock.now(), grouped=self._grouped)
        strip = Strip(text.render(_CONSOLE)).adjust_cell_length(width)
        if self._old:
            strip = strip.apply_style(_DIM)
        if number != self.row or not self.has_focus:
            return strip
        # Only its beginning: bars turned round would show the opposite.
        return Strip.join([strip.crop(0, HEAD).apply_style(_CURSOR), strip.crop(HEAD)])

    def action_move(self, by: int) -> None:
        """Move the cursor by so many lines."""
        self.row = max(0, min(self.row + by, len(self._lines) - 1))
        self.scroll_to_region(Region(0, self.row, 1, 1), animate=False)
        self.refresh()

    def action_page(self, by: int) -> None:
        """Move the cursor by so many pages."""
        self.action_move(by * max(1, self.size.height - 1))

    def _key(self, number: int) -> tuple[str, int | None] | None:
        if not 0 <= number < len(self._lines):
            return None
        node, gpu = self._lines[number]
        return node.id, None if gpu is None else gpu.index

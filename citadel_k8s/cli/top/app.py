"""The terminal: grid, list, filter and help."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static
from typing_extensions import override

from citadel_k8s.aio.clock import Clock
from citadel_k8s.cli.top import order, painting
from citadel_k8s.cli.top.details import Details
from citadel_k8s.cli.top.fleet import Fleet
from citadel_k8s.cli.top.help import HELP, Help
from citadel_k8s.cli.top.listing import Listing
from citadel_k8s.clients.fleet import FleetSource
from citadel_k8s.errors import CitadelError

FRAME: Final = 0.25
"""Seconds between two pictures: figures change every few seconds, and eyes follow no more."""

_SHORT: Final = {
    "utilization": "util",
    "memory": "vram",
    "temperature": "temp",
    "power": "watts",
}

TICK: Final = 1.0
"""Seconds after which ages are painted anew though nothing came."""


class Top(App[int]):
    """Every GPU of a fleet.

    Parameters
    ----------
    source : FleetSource
        Who tells of the fleet; closed by who opened it.
    clock : Clock
        For ages and countdowns.
    """

    TITLE = "citadel top"
    ENABLE_COMMAND_PALETTE = False
    INLINE_PADDING = 0
    CSS = """
    Screen { layers: base over; background: ansi_default; }
    #head, #columns, #foot { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #grid { height: auto; margin: 0 0; }
    Listing { background: ansi_default; scrollbar-background: ansi_default;
              scrollbar-color: ansi_bright_black; }
    #filter { display: none; height: 1; border: none; padding: 0; background: ansi_default; }
    #filter.open { display: block; }
    #help { display: none; layer: over; dock: top; padding: 0 1; height: auto;
            border: round ansi_bright_black; background: ansi_default;
            width: 58; max-width: 100%; offset: 2 1; }
    #help.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "quit"),
        ("ctrl+c", "quit", "quit"),
        ("slash", "filter", "filter"),
        ("question_mark", "help", "help"),
        ("p", "pause", "pause"),
        ("escape", "leave", ""),
        *((key, f"sort('{name}')", f"by {name}") for key, name in order.SORTS.items()),
    ]

    def __init__(self, source: FleetSource, clock: Clock) -> None:
        # The terminal's own palette is right on light and on dark ones, and so is its dim.
        super().__init__(ansi_color=True)
        self.fleet = Fleet()
        self.failed: CitadelError | None = None
        self._source = source
        self._clock = clock
        self._sort = "attention"
        self._words = ""
        self._problem: str | None = None
        self._paused = False
        self._dirty = True
        self._painted = 0.0
        self._told: dict[str, tuple[Text, str]] = {}

    @override
    def compose(self) -> ComposeResult:
        yield Static("", id="head", markup=False)
        yield Static("", id="grid", markup=False)
        yield Static("", id="columns", markup=False)
        yield Listing(self._clock)
        yield Input(placeholder="words, state:offline gpu:h100 model:llama label:a=b", id="filter")
        yield Static("", id="foot", markup=False)
        yield Help(HELP, id="help", markup=False)

    def on_mount(self) -> None:
        """Begin."""
        self.query_one(Listing).focus()
        self.set_interval(FRAME, self._frame)
        self._watch()
        self._look()
        self._paint()

    @work(name="watch")
    async def _watch(self) -> None:
        try:
            async with aclosing(self._source.watch()) as changes:
                async for change in changes:
                    self.fleet.take(change, self._clock.monotonic())
                    self._dirty = True
        except CitadelError as error:
            # Refused for good: a picture that can never be true again is not left standing.
            self.failed = error
            self.exit(1)

    @work(name="details")
    async def _look(self) -> None:
        await Details(self._source, self._clock, self._in_view, self._detailed).run()

    def _in_view(self) -> list[str]:
        well = self.fleet.link.kind == "live" and not self._paused
        return self.query_one(Listing).in_view() if well else []

    def _detailed(self, node: str, told: Mapping[str, Any]) -> None:
        self.fleet.detail(node, told)
        self._dirty = True

    def on_resize(self, _: events.Resize) -> None:
        """Share the room out anew."""
        self._dirty = True
        self.call_after_refresh(self._paint)

    def _frame(self) -> None:
        due = self._clock.monotonic() - self._painted >= TICK
        if (self._dirty and not self._paused) or due:
            self._paint()

    def _paint(self) -> None:
        if not self.query("#list"):
            return
        now = self._clock.monotonic()
        fleet, link = self.fleet, self.fleet.link
        cut = link.kind == "cut"
        width = max(20, self.size.width)
        if not self._paused:
            self._dirty = False
            self._paint_fleet(width, cut=cut)
        self._painted = now
        said = "paused" if self._paused else link.text(now)
        style = "bold yellow" if self._paused or cut else "bold green"
        head = Text().append(f"{said}  ", style=style)
        totals = fleet.totals()
        head.append(painting.summary(totals))
        if totals.gpus and totals.unknown == totals.gpus:
            head.append("; figures come with --api", style="bold yellow")
        self._set("#head", head)
        self._set("#foot", self._foot())

    def _paint_fleet(self, width: int, *, cut: bool) -> None:
        nodes = sorted(self.fleet.nodes.values(), key=lambda node: node.name)
        rows = painting.grid(nodes, width, max(2, self.size.height // 5))
        self._set("#grid", Text("\n", style="dim" if cut else "").join(rows))
        grouped = self._sort in order.GROUPED
        self._set("#columns", painting.header(width - 1, grouped=grouped))
        lines = order.lines(self.fleet, self._sort, self._words)
        self.query_one(Listing).show(lines, grouped=grouped, old=cut)

    def _foot(self) -> Text:
        if self._problem:
            return Text().append(self._problem, style="bold red")
        found = f"filter: {self._words}  " if self._words else ""
        foot = Text(found, style="bold").append("/ filter ", style="dim")
        for key, name in order.SORTS.items():
            short = _SHORT.get(name, name)
            foot.append(f" {key} {short}", style="bold" if name == self._sort else "dim")
        return foot.append("  p pause ? help q quit", style="dim")

    def _set(self, place: str, text: Text) -> None:
        # What is told anew is laid out anew, whether or not it is another.
        told = (text, str(text.style))  # two texts of different styles are equal
        if self._told.get(place) != told:
            self._told[place] = told
            self.query_one(place, Static).update(text, layout=place == "#grid")

    def action_sort(self, name: str) -> None:
        """Sort by another figure."""
        self._sort = name
        self._paint()

    def action_pause(self) -> None:
        """Hold the picture, or let it go on; what comes meanwhile is kept."""
        self._paused = not self._paused
        self._paint()

    def action_help(self) -> None:
        """Show or hide the keys."""
        self.query_one("#help").toggle_class("open")

    def action_filter(self) -> None:
        """Type what to look for."""
        box = self.query_one("#filter", Input)
        box.add_class("open")
        box.focus()

    def action_leave(self) -> None:
        """Close what is open; with nothing open forget the filter."""
        box, shown = self.query_one("#filter", Input), self.query_one("#help")
        if shown.has_class("open"):
            shown.remove_class("open")
        elif box.has_class("open"):
            self._close(box)
        else:
            box.value = ""

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        self._problem = order.problem(event.value)
        if self._problem is None:
            self._words = event.value
        self._paint()

    @on(Input.Submitted, "#filter")
    def _entered(self, event: Input.Submitted) -> None:
        self._close(event.input)

    def _close(self, box: Input) -> None:
        box.remove_class("open")
        self.query_one(Listing).focus()

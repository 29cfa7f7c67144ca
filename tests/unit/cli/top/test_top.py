"""The terminal that shows every GPU, driven as a person drives it; its text is looked at."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from citadel_k8s.aio.clock import ManualClock
from citadel_k8s.cli.top.app import Top
from citadel_k8s.cli.top.details import AGE, FAILED, Details
from citadel_k8s.cli.top.listing import Listing
from citadel_k8s.clients.fleet import Change, FleetError
from tests.unit.cli.top.fleets import Source, row
from tests.unit.cli.top.screen import text


@asynccontextmanager
async def shown(
    rows: list[dict[str, Any]], size: tuple[int, int] = (80, 24)
) -> AsyncGenerator[tuple[Top, Pilot[int], Source, ManualClock]]:
    source, clock = Source(rows), ManualClock()
    app = Top(source, clock)  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        await settled(app, pilot)
        yield app, pilot, source, clock


async def settled(app: Top, pilot: Pilot[int]) -> None:
    await pilot.pause()
    app._paint()
    await pilot.pause()


FLEET = [
    row("gpu-1", 2, util=93),
    row("gpu-2", 2, state="Offline", reason="HeartbeatTimeout", util=7,
        lastHeartbeat="2026-11-23T07:46:00Z"),
    row("gpu-3", 1, util=None),
]  # fmt: skip


async def test_a_small_fleet_fits_into_80_by_24():
    async with shown(FLEET) as (app, pilot, _, _):
        app.query_one(Listing).in_view()
        await pilot.pause()
        lines = text(app).splitlines()
        assert lines[0] == "live  3 nodes, 1 not Online; 5 GPUs, 2 busy, 3 unknown, mean 93 %"
        assert lines[1] == "██xx?"
        heads = ["GPU", "MODEL", "UTIL", "VRAM", "TEMP", "POWER", "HELD", "BY/SERVES"]
        assert lines[2].split() == heads
        assert lines[3].startswith("x gpu-2  Offline (HeartbeatTimeout)  2 GPUs  last known, ")
        assert lines[6] == "+ gpu-1  Online  2 GPUs  llama-3-70b +1"
        assert lines[7].split()[:4] == ["0", "H100", "80GB", "HBM3"]
        assert "93%" in lines[7]
        assert "50%" in lines[7]
        assert "░░░░░░░░    ?" in lines[10]
        assert lines[-1].startswith("/ filter")
        assert all(len(line) <= 80 for line in lines)


async def test_what_only_a_nodes_own_status_has_comes_for_those_in_view():
    async with shown([row("gpu-1", 2)], (120, 24)) as (app, pilot, source, clock):
        await Details(source, clock, app._in_view, app._detailed).turn()  # type: ignore[arg-type]
        await settled(app, pilot)
        assert source.asked == ["gpu-1"]
        assert "60°C  400W pod-0" in text(app)


async def test_keys_sort_gpus_of_all_nodes_and_names_are_told_again_then():
    fleet = [row("a", 1, util=10), row("b", 1, util=90), row("c", 1, util=None)]
    async with shown(fleet, (120, 24)) as (app, pilot, _, _):
        await pilot.press("u")
        found = [line.split("/")[0].strip() for line in text(app).splitlines()[3:6]]
        assert found == ["b", "a", "c"]
        await pilot.press("n")
        assert text(app).splitlines()[3].startswith("+ a  Online")


async def test_words_pick_nodes_and_escape_forgets_them():
    async with shown(FLEET) as (app, pilot, _, _):
        await pilot.press("slash", *"state:offline", "enter")
        assert "gpu-2" in text(app)
        assert "gpu-3" not in text(app)
        assert "filter: state:offline" in text(app)
        await pilot.press("escape")
        assert "gpu-3" in text(app)


async def test_words_that_cannot_be_meant_are_told_and_change_nothing():
    async with shown(FLEET) as (app, _, _, _):
        app._typed(Input.Changed(app.query_one(Input), "state:x"))
        app._paint()
        assert "is none of" in str(app.query_one("#foot", Static).content)
        assert app._words == ""


async def test_help_opens_and_closes_and_fits():
    async with shown(FLEET) as (app, pilot, _, _):
        await pilot.press("question_mark")
        assert "forget the filter" in text(app)
        assert "for what is in view" in text(app)
        await pilot.press("escape")
        assert "forget the filter" not in text(app)


async def test_a_pause_holds_the_picture_and_its_end_shows_what_came():
    async with shown(FLEET) as (app, pilot, source, _):
        await pilot.press("p")
        source.told.put_nowait(Change("node", "gpu-9", row=row("gpu-9", 1)))
        await settled(app, pilot)
        assert text(app).startswith("paused")
        assert "gpu-9" not in text(app)
        await pilot.press("p")
        assert "gpu-9" in text(app)


async def test_a_lost_line_counts_down_and_what_was_known_stays():
    async with shown(FLEET) as (app, pilot, source, clock):
        clock.advance(14)
        source.told.put_nowait(Change("cut", message="no answer", seconds=5))
        await settled(app, pilot)
        assert text(app).startswith("connection lost, data 14 s old, again in 5 s: no answer")
        clock.advance(2)
        app._paint()
        await pilot.pause()
        assert "again in 3 s" in text(app)
        assert "+ gpu-1  Online" in text(app)
        strips = app.screen._compositor.render_strips()
        dimmed = next(s for s in strips if "gpu-1  Online" in s.text)
        assert all(
            segment.style.dim for segment in dimmed if segment.text.strip() and segment.style
        )
        grid = strips[1]
        assert all(segment.style.dim for segment in grid if segment.text.strip() and segment.style)
        source.told.put_nowait(Change("back"))
        await settled(app, pilot)
        assert text(app).startswith("live")


async def test_a_node_that_is_gone_leaves():
    async with shown(FLEET) as (app, pilot, source, _):
        source.told.put_nowait(Change("gone", "gpu-1"))
        await settled(app, pilot)
        assert "gpu-1" not in text(app)


async def test_a_refusal_ends_it_with_the_reason():
    async with shown(FLEET) as (app, pilot, source, _):
        source.told.put_nowait(FleetError("401: sign in", status=401))
        await pilot.pause()
        await pilot.pause()
        assert str(app.failed) == "401: sign in"


async def test_hostile_names_stay_text_of_one_line():
    evil = "\x1b[31mred\x07\n[bold]x[/bold]\u202eabc" + "w" * 500
    fleet = [row(evil, 1, profile={"name": evil, "gpus": [{"model": evil, "count": 1}]})]
    async with shown(fleet) as (app, pilot, _, _):
        await pilot.press("n")
        seen = text(app)
        assert "\x1b" not in seen
        assert "\u202e" not in seen
        assert "[31mred" in seen
        assert "[bold]x[/bold]" in seen
        assert all(len(line) <= 80 for line in seen.splitlines())


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (300, 100)])
async def test_any_size_of_terminal_is_drawn(size: tuple[int, int]):
    async with shown(FLEET, size) as (app, pilot, _, _):
        await pilot.press("u", "question_mark")
        assert text(app)


async def test_the_cursor_stays_on_its_line_when_lines_come_before_it():
    async with shown([row("b", 1), row("c", 1)]) as (app, pilot, source, _):
        await pilot.press("n", "j", "j")
        source.told.put_nowait(Change("node", "a", row=row("a", 1)))
        await settled(app, pilot)
        listing = app.query_one(Listing)
        assert listing._lines[listing.row].node.name == "c"


async def test_five_thousand_gpus_are_drawn_from_what_is_in_view_alone():
    fleet = [row(f"gpu-{number:04}") for number in range(625)]
    async with shown(fleet) as (app, pilot, _, _):
        await pilot.press("G")
        seen = text(app)
        assert "5000 GPUs" in seen
        assert len(app.query_one(Listing)._lines) == 625 * 9
        assert len(app.query_one(Listing).in_view()) <= 4


async def test_details_are_asked_for_a_few_at_a_time_and_again_when_they_are_old():
    names = [f"n{number}" for number in range(6)]
    source, clock, got = Source([]), ManualClock(), []
    details = Details(source, clock, lambda: names, lambda one, _: got.append(one))  # type: ignore[arg-type]
    await details.turn()
    await details.turn()
    await details.turn()
    assert got == names
    clock.advance(AGE)
    await details.turn()
    assert got == [*names, *names[:4]]


async def test_a_node_that_cannot_be_had_is_left_alone_for_a_while():
    class Refusing(Source):
        async def node(self, name: str) -> dict[str, Any]:
            self.asked.append(name)
            raise FleetError("no")

    source, clock = Refusing([]), ManualClock()
    details = Details(source, clock, lambda: ["a"], lambda *_: None)  # type: ignore[arg-type]
    await details.turn()
    clock.advance(AGE)
    await details.turn()
    assert source.asked == ["a"]
    clock.advance(FAILED)
    await details.turn()
    assert source.asked == ["a", "a"]

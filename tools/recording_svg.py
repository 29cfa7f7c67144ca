"""Frames of a terminal as one animated SVG: no script, no fonts from elsewhere."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tools.recording_terminal import Run

CELL: Final = (8.4, 18.0)
"""Width and height of a cell in pixels, for text of 14."""

PAD: Final = 16.0
"""Pixels around the text."""

BAR: Final = 34.0
"""Height of the window's bar, in pixels."""

CAPTION: Final = 36.0
"""Height of the caption, in pixels."""

PALETTE: Final = {
    "default": "#d6deeb",
    "black": "#10151f",
    "red": "#ff7b72",
    "green": "#56d364",
    "brown": "#e3b341",
    "yellow": "#e3b341",
    "blue": "#79a8ff",
    "magenta": "#d2a8ff",
    "cyan": "#56d4dd",
    "white": "#d6deeb",
    "brightblack": "#8b98ad",
    "brightred": "#ffa198",
    "brightgreen": "#7ee787",
    "brightbrown": "#ffd866",
    "brightyellow": "#ffd866",
    "brightblue": "#a5c8ff",
    "brightmagenta": "#e2c5ff",
    "bfightmagenta": "#e2c5ff",
    "brightcyan": "#9ae6ee",
    "brightwhite": "#ffffff",
}
"""Colours by the names that the terminal gives them; all are readable on the background."""

BACKGROUND: Final = "#10151f"
FONT: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


@dataclass(slots=True)
class Frame:
    """What is to be seen for so many seconds."""

    lines: tuple[tuple[Run, ...], ...]
    cursor: tuple[int, int] | None
    caption: str
    seconds: float = 0.0

    def same(self, other: "Frame") -> bool:
        """Tell whether another looks like this."""
        mine = (self.lines, self.cursor, self.caption)
        return mine == (other.lines, other.cursor, other.caption)


def svg(frames: Sequence[Frame], size: tuple[int, int]) -> str:
    """Give the document; it begins anew at its end.

    Lines that several frames share are written once and used again.
    """
    total = sum(frame.seconds for frame in frames)
    shared: dict[tuple[Run, ...], str] = {}
    body: list[str] = []
    rules: list[str] = []
    at = 0.0
    for number, frame in enumerate(frames):
        begin, end = 100 * at / total, 100 * (at + frame.seconds) / total
        at += frame.seconds
        rules.append(_rule(number, begin, end, total, last=number == len(frames) - 1))
        body.append(f'<g class="f" id="f{number}">{_frame(frame, shared, size)}</g>')
    width = size[0] * CELL[0] + 2 * PAD
    height = BAR + size[1] * CELL[1] + PAD + CAPTION
    defs = "".join(
        f'<g id="{name}">{"".join(_run(run) for run in line)}</g>' for line, name in shared.items()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" '
        'aria-label="Recording of a terminal: a node dies and comes back">\n'
        f"<style>text{{font:14px {FONT};white-space:pre}}svg{{fill:{PALETTE['default']}}}"
        ".f{opacity:0}"
        f".c{{font-family:system-ui,sans-serif;font-size:15px;font-weight:600}}.b{{font-weight:700}}"
        f".d{{opacity:.55}}.i{{font-style:italic}}{''.join(rules)}"
        "@media (prefers-reduced-motion:reduce){.f{animation:none!important}"
        f"#f{_best(frames)}{{opacity:1}}}}</style>\n"
        f"<defs>{defs}</defs>\n"
        f'<rect width="{width:g}" height="{height:g}" rx="10" fill="{BACKGROUND}" '
        'stroke="#3a4459"/>\n'
        f'<circle cx="20" cy="17" r="5.5" fill="#ff5f57"/><circle cx="38" cy="17" r="5.5" '
        'fill="#febc2e"/><circle cx="56" cy="17" r="5.5" fill="#28c840"/>\n' + "\n".join(body)
    ) + "\n</svg>\n"


def _rule(number: int, begin: float, end: float, total: float, *, last: bool) -> str:
    name = f"k{number}"
    hidden = "" if begin == 0 else f"0%,{begin - 0.0001:.4f}%{{opacity:0}}"
    after = "" if last else f"{end:.4f}%,100%{{opacity:0}}"
    shown = f"{begin:.4f}%,{100 if last else end - 0.0001:.4f}%{{opacity:1}}"
    return (
        f"#f{number}{{animation:{name} {total:.2f}s infinite step-end}}"
        f"@keyframes {name}{{{hidden}{shown}{after}}}"
    )


def _frame(frame: Frame, shared: dict[tuple[Run, ...], str], size: tuple[int, int]) -> str:
    parts: list[str] = []
    for row, line in enumerate(frame.lines):
        if line:
            name = shared.setdefault(line, _name(line))
            parts.append(f'<use href="#{name}" y="{BAR + row * CELL[1]:g}"/>')
    if frame.cursor is not None:
        column, row = frame.cursor
        x, y = PAD + column * CELL[0], BAR + row * CELL[1]
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{CELL[0]:g}" height="{CELL[1]:g}" fill="#8b98ad"/>'
        )
    y = BAR + size[1] * CELL[1] + PAD + 12
    parts.append(f'<text class="c" x="{PAD:g}" y="{y:g}">{escape(frame.caption)}</text>')
    return "".join(parts)


def _run(run: Run) -> str:
    x, wide = PAD + run.column * CELL[0], len(run.text) * CELL[0]
    parts: list[str] = []
    if run.bg != "default":
        parts.append(
            f'<rect x="{x:.1f}" width="{wide:.1f}" height="{CELL[1]:g}" fill="{_colour(run.bg)}"/>'
        )
    text = run.text.rstrip()
    if text:
        lead = len(text) - len(text.lstrip())
        x, text = x + lead * CELL[0], text.lstrip()
        classes = " ".join(
            name for name, on in (("b", run.bold), ("d", run.dim), ("i", run.italic)) if on
        )
        style = f' class="{classes}"' if classes else ""
        style += "" if run.fg == "default" else f' fill="{_colour(run.fg)}"'
        # A width of its own keeps columns straight in whichever font is there.
        length = f' textLength="{len(text) * CELL[0]:.1f}" lengthAdjust="spacingAndGlyphs"'
        parts.append(f'<text x="{x:.1f}" y="13.5"{style}{length}>{escape(text)}</text>')
    return "".join(parts)


def _colour(name: str) -> str:
    return PALETTE.get(name) or f"#{name}"


def _name(line: Iterable[Run]) -> str:
    return "l" + hashlib.blake2b(repr(line).encode(), digest_size=5).hexdigest()


def _best(frames: Sequence[Frame]) -> int:
    """Give the frame that stands for all where nothing may move: the one held longest."""
    return max(range(len(frames)), key=lambda number: frames[number].seconds)

"""The keys and signs, for who asks."""

from typing import Final

from textual.widgets import Static

from citadel_k8s.cli.top.painting import BAND_FROM, BAND_SHAPES, STATES

_BANDS = "  ".join(f"{shape} {start}" for shape, start in zip(BAND_SHAPES, BAND_FROM, strict=True))
_STATES = "  ".join(f"{sign} {state}" for state, (sign, _) in list(STATES.items())[:4])
_MORE = "  ".join(f"{sign} {state}" for state, (sign, _) in list(STATES.items())[4:])

HELP: Final = f"""\
Grid: one cell for each GPU, or each node if many
  {_BANDS} % and more
  ! failed  ? not known
Nodes
  {_STATES}
  {_MORE}

/      filter: words, state: gpu: model: label:
a n    sort by attention, by name (nodes together)
u m    sort GPUs by utilization, by memory
t w    sort GPUs by temperature, by watts
j k    down, up;  g G first, last
p      hold the picture, go on
Esc    close this; forget the filter
q      quit

A figure is ? where nobody knows it.  Dim: the last
that was known.  Temperature, watts and who holds
a GPU come with the API (--api), for what is in view.\
"""
"""What the help says; it fits into 24 lines."""


class Help(Static):
    """The help over the list."""

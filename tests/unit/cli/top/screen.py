"""The screen of an app as text."""

from typing import Any


def text(app: Any) -> str:
    """Give what is to be seen, without colours, line by line."""
    compositor = app.screen._compositor
    strips = compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)

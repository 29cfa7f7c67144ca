"""Text from outside, made fit for a terminal: what it shows is all that it does."""

from typing import Any, Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that is none to look at: escapes, bidirectional overrides, surrogates."""

_SPACES: Final = str.maketrans({"\n": " ", "\r": " ", "\t": " ", "\u2028": " ", "\u2029": " "})


def shown(value: Any) -> str:
    """Give a value as one line without control characters; empty for None."""
    if value is None:
        return ""
    text = str(value)
    if text.isprintable():
        return text
    return _plain(text.translate(_SPACES))


def shown_lines(text: str) -> str:
    """Give a text of several lines without any other control characters."""
    if text.isprintable():
        return text
    return "\n".join(_plain(line) for line in text.expandtabs().split("\n"))


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else REPLACEMENT for c in text)

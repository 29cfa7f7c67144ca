"""A reader of protocol buffers that knows no schema and costs no memory.

The kubelet's socket answers with two small messages; the runtime of protobuf takes more memory
than all that is in them. A message is a row of fields, each a number with a wire type and a
value; what is not asked for is skipped, so that newer kubelets may say more.
"""

from collections.abc import Iterator
from typing import Final

FIELDS_MAX: Final = 40_000
"""Fields read of one answer. 250 pods with all they hold are about 15,000; so many take some
50 ms, which is the longest that the event loop may stand still for a stranger's answer."""

VARINT_MAX: Final = 10
"""Bytes of the longest number. Source: 64 bits in groups of 7."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class Reader:
    """Reads the fields of one answer and of the messages in it, and not without end.

    Parameters
    ----------
    budget : int
        Fields that may be read in all; more are an error, since an answer that is cut would
        say that what is missing is not there.
    """

    def __init__(self, budget: int = FIELDS_MAX) -> None:
        self._left = budget

    def fields(self, message: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Give number and bytes of each text, message or list; numbers are skipped.

        Raises
        ------
        ValueError
            If the bytes are no message, or there are too many fields.
        """
        at, end = 0, len(message)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("too many fields")
            key = message[at]
            at += 1
            if key > 0x7F:  # noqa: PLR2004 - the bit that says that more follows
                key, at = _varint(message, at - 1)
            kind = key & 7
            if key < 8:  # noqa: PLR2004 - a number of zero in its upper bits
                raise ValueError("a field with the number 0")
            if kind == _LENGTH:
                size, at = _varint(message, at)
                if size > end - at:
                    raise ValueError("a field ends after its message")
                yield key >> 3, message[at : at + size]
                at += size
            else:
                at = _skip(message, at, kind)


def _skip(message: memoryview, at: int, kind: int) -> int:
    if kind == _VARINT:
        return _varint(message, at)[1]
    size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
    if size is None:
        raise ValueError(f"a field of wire type {kind}")
    if at + size > len(message):
        raise ValueError("a number ends after its message")
    return at + size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(VARINT_MAX):
        if at >= len(message):
            raise ValueError("a number ends after its message")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return value, at
    raise ValueError("a number without end")

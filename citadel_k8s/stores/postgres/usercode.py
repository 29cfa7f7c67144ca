"""The code that a person reads from one screen and types at another."""

import secrets
from typing import Final

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come about; no digits, so that nothing looks like another. Source:
RFC 8628, section 6.1."""

LENGTH: Final = 8
"""Characters of a code: 20^8 is 35 bits, for ten minutes."""


def new_user_code() -> str:
    """Make a code."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown(code: str) -> str:
    """Give a code as it is shown: ``XXXX-XXXX``."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def typed(text: str) -> str | None:
    """Give the code that somebody typed, in whatever case and with whatever between; None if none.

    A letter that is not of the alphabet makes it no code: nothing is guessed.
    """
    if len(text) > 4 * LENGTH:
        return None
    code = "".join(letter for letter in text.upper() if letter.isalnum())
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else None

import pytest

from citadel_k8s.domain.terminal import REPLACEMENT, shown, shown_lines

HOSTILE = [
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b2J",
    "a\x00b",
    "a\x7fb",
    "\u202egpj.exe",
    "\u2066x\u2069",
    "zero\u200bwidth",
    "\ud800",
    "\ufeffbom",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_would_act_on_a_terminal_is_replaced(text: str):
    assert shown(text).isprintable()
    assert REPLACEMENT in shown(text)


def test_line_breaks_become_spaces_so_that_a_row_stays_a_row():
    assert shown("one\r\ntwo\tthree\u2028four") == "one  two three four"


def test_all_other_letters_stay():
    assert shown("モデル 🦙 größe") == "モデル 🦙 größe"


def test_nothing_is_the_empty_text_and_a_number_its_digits():
    assert shown(None) == ""
    assert shown(7) == "7"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_message_keeps_its_lines_and_nothing_else_that_acts(text: str):
    assert shown_lines(f"a\n{text}").split("\n")[0] == "a"
    assert all(line.isprintable() for line in shown_lines(f"a\n{text}").split("\n"))


def test_a_plain_message_is_itself():
    assert shown_lines("as it is") == "as it is"

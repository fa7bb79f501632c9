from hypothesis import given
from hypothesis import strategies as st

from slatecast.seat.screen_model import LONGEST_LINE, plain


@given(st.text())
def test_one_printable_line(text: str) -> None:
    line = plain(text)
    assert line.isprintable()
    assert len(line) <= LONGEST_LINE


def test_what_a_terminal_would_obey_is_replaced() -> None:
    assert plain("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c"
    assert plain("x" * 1000) == "x" * LONGEST_LINE
    assert plain("abc", 2) == "ab"

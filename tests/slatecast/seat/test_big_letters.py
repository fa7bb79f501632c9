import sys

import pytest

from slatecast.seat import big_letters as module
from slatecast.seat.big_letters import big_letters


def test_as_large_as_fits() -> None:
    assert len(big_letters("pc-14", 80, 7)) == 7
    assert len(big_letters("pc-14", 80, 3)) == 3
    assert len(big_letters("pc-14", 30, 7)) == 3
    assert big_letters("pc-14", 10, 7) == ("pc-14",)
    assert big_letters("pc-14", 4, 7) == ("pc-1",)
    assert big_letters("pc-14", 80, 1) == ("pc-14",)


def test_small_letters_look_as_large_ones() -> None:
    assert big_letters("ready", 80, 3) == big_letters("READY", 80, 3)
    assert big_letters("READY", 80, 3) == (
        " █▀▄ █▀▀ █▀█ █▀▄ █ █",
        " █▀▄ █▀▀ █▀█ █ █  █",
        " ▀ ▀ ▀▀▀ ▀ ▀ ▀▀   ▀",
    )


@pytest.mark.parametrize("text", ["", "   ", "Prüfung", "机房", "🖥", "\N{REPLACEMENT CHARACTER}"])
def test_what_a_font_does_not_have_is_plain(text: str) -> None:
    assert big_letters(text, 80, 7) == (text,)


@pytest.mark.parametrize("columns", range(1, 90))
def test_it_is_never_wider_than_the_screen(columns: int) -> None:
    from rich.cells import cell_len  # beside its only use

    for text in ("pc-14", "机房 机房 机房", "42 %", "x" * 64):
        assert max(cell_len(row) for row in big_letters(text, columns, 7)) <= columns


def test_only_what_every_console_has() -> None:
    printable = "".join(chr(code) for code in range(32, 127))
    for height in (3, 7):
        drawn = {letter for each in printable for letter in "".join(big_letters(each, 80, height))}
        assert drawn <= set("█▀▄ ") | set(printable)


def test_without_its_fonts_everything_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FONTS", ("no such font",))
    assert big_letters.__wrapped__("pc-15", 80, 7) == ("pc-15",)
    monkeypatch.setattr(module, "_FONTS", ("pagga",))
    monkeypatch.setitem(sys.modules, "pyfiglet", None)
    assert big_letters.__wrapped__("pc-15", 80, 7) == ("pc-15",)

"""Pictures as text, at the two sizes that consoles of PCs mostly have.

To draw them anew after a change that is meant: python -m tests.slatecast.seat.test_picture
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from slatecast.seat.picture import picture
from slatecast.seat.screen_model import ScreenModel, Tone, plain

GOLDEN = Path(__file__).parent / "golden"
SIZES = ((80, 25), (128, 48))
FOOTER = "eth0 192.0.2.7 1 Gbit/s  broadcaster 192.0.2.1:8884"
FREE = ("B boot from disk", "Q power off")

MODELS = {
    "searching": ScreenModel(
        "aa:bb:cc:dd:ee:0f", "", "searching", Tone.CALM, lines=("Looking for a broadcaster",), keys=FREE, footer=FOOTER
    ),
    "words": ScreenModel(
        "pc-14",
        "Lab 2",
        "same words?",
        Tone.WARNING,
        words=("theme", "mandate", "search", "account"),
        lines=("Does the operator's screen show the same words? Y the same, N others",),
        footer=FOOTER,
    ),
    "countdown": ScreenModel(
        "pc-14",
        "Lab 2",
        "stop? 7 s",
        Tone.ALARM,
        lines=("Overwriting this disk in 7 s: press A to stop", "/dev/nvme0n1", "Image classroom, version 3"),
        keys=("A stop",),
        footer=FOOTER,
    ),
    "writing": ScreenModel(
        "pc-14",
        "Lab 2",
        "writing 42 %",
        Tone.BUSY,
        progress=0.42,
        progress_text="42 %, about 3 min 20 s left",
        lines=("Image classroom, version 3, to /dev/nvme0n1",),
        keys=("A stop",),
        footer=FOOTER,
    ),
    "question": ScreenModel(
        "pc-14",
        "Lab 2",
        "menu",
        Tone.CALM,
        lines=("R puts classroom, version 3 of 2026-11-20, on this disk",),
        question="Overwrite this disk with classroom, version 3 of 2026-11-20? All files on it are lost. "
        "Y yes, any other key no",
        footer=FOOTER,
    ),
}

texts = st.text(max_size=80).map(plain)
models = st.builds(
    ScreenModel,
    seat=texts,
    room=texts,
    headline=texts,
    tone=st.sampled_from(Tone),
    words=st.lists(texts, max_size=4).map(tuple),
    progress=st.none() | st.floats(0, 1),
    progress_text=texts,
    lines=st.lists(texts, max_size=6).map(tuple),
    question=texts,
    keys=st.lists(texts, max_size=4).map(tuple),
    footer=texts,
)


def drawn(name: str, columns: int, lines: int) -> str:
    return "".join(f"{line.text.rstrip()}\n" for line in picture(MODELS[name], columns, lines))


def path_of(name: str, columns: int, lines: int) -> Path:
    return GOLDEN / f"{name}-{columns}x{lines}.txt"


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_a_picture_looks_as_it_did(name: str, size: tuple[int, int]) -> None:
    assert drawn(name, *size) == path_of(name, *size).read_text(encoding="utf-8")


@given(models, st.integers(1, 140), st.integers(1, 60))
def test_it_fits_every_screen(model: ScreenModel, columns: int, lines: int) -> None:
    shown = picture(model, columns, lines)
    assert len(shown) == max(lines, 6)
    assert all(cell_len(line.text) <= max(columns, 20) for line in shown)
    assert all(line.text.isprintable() for line in shown)


@pytest.mark.parametrize("size", [(20, 6), (40, 12), (64, 24), *SIZES, (240, 67)], ids=str)
def test_the_keys_are_there_on_every_screen(size: tuple[int, int]) -> None:
    assert "A stop" in drawn("countdown", *size)
    assert "in 7 s" in drawn("countdown", *size) or size[0] == 20


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_all_words_are_large(size: tuple[int, int]) -> None:
    shown = drawn("words", *size)
    assert "mandate" not in shown
    assert sum("█" in line for line in shown.splitlines()) >= 4 * 2


def test_where_there_is_no_room_words_are_small_but_there() -> None:
    for size in ((40, 10), (24, 6)):
        assert all(word in drawn("words", *size) for word in MODELS["words"].words)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in MODELS:
        for width, height in SIZES:
            path_of(each, width, height).write_text(drawn(each, width, height), encoding="utf-8")

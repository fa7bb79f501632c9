import asyncio
import os
import pty
import random
import re
import time
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from broadcaster.announcement import build_announcement
from protocol.messages import FecOti, ReceiverState
from receiver.arming import Arming
from receiver.session import ReceiverSession
from slatecast.cli import keyboard, receiver_display
from slatecast.cli.receiver_display import _Picture
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, SimulatedImage, draw_image

LONG = 1000.0
"""[s] A countdown that no test waits for."""


@pytest.fixture
def image() -> SimulatedImage:
    return draw_image(random.Random(1), 20, 0.5)


def session_of(image: SimulatedImage, countdown: float) -> ReceiverSession:
    announcement = build_announcement(
        image.manifest,
        tsi=7,
        image_key=bytes(32),
        image_signature=bytes(64),
        source="192.0.2.1",
        group="239.192.0.1",
        port=7000,
        oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH),
    )
    now = time.monotonic()
    return ReceiverSession(
        announcement,
        receiver_id="0" * 32,
        seat="row-2",
        target="/dev/sda",
        arming=Arming(countdown, now, is_held=False),
        rng=random.Random(1),
        now=now,
    )


@pytest.fixture
def session(image: SimulatedImage) -> ReceiverSession:
    """One that may write."""
    return session_of(image, 0.0)


@pytest.fixture
def arming(image: SimulatedImage) -> ReceiverSession:
    """One that counts down."""
    return session_of(image, LONG)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Types on the terminal that is standard input."""
    hands, screen = pty.openpty()
    monkeypatch.setattr(keyboard, "_standard_input", lambda: screen)
    yield hands
    os.close(hands)
    os.close(screen)


def drawn(session: ReceiverSession | None, words: str = "", *, has_keyboard: bool = True) -> list[str]:
    """The lines of the picture that are not empty."""
    console = Console(width=120, file=StringIO(), record=True)
    receiver = SimpleNamespace(session=session)
    console.print(_Picture(receiver, words, has_keyboard=has_keyboard))  # type: ignore[arg-type]  # all that a picture looks at
    return [line.strip(" ┃") for line in console.export_text().splitlines() if line.strip(" ┃━┏┓┗┛")]


def test_before_a_session() -> None:
    assert drawn(None) == ["waiting for a session"]
    assert drawn(None, "apple river") == ["paired by the words: apple river", "waiting for a session"]


def test_counting_down(arming: ReceiverSession) -> None:
    seat, words, warning, progress = drawn(arming, "apple river")
    assert (seat, words) == ("seat row-2", "paired by the words: apple river")
    assert re.fullmatch(r"writes to /dev/sda in \d+ s, press Esc to stop", warning)
    assert "arming" in progress
    assert drawn(arming, has_keyboard=False)[1].endswith(" s, end this program to stop")


def test_ready_and_not_written_yet(session: ReceiverSession) -> None:
    assert drawn(session)[1] == "writes to /dev/sda when the image comes, press Esc to stop"


def test_receiving(session: ReceiverSession, image: SimulatedImage) -> None:
    session.arming.begin_writing(time.monotonic(), proved_blocks=1)
    session.manifest_loaded(image.manifest, 1.0)
    session.counters.bytes_received = 1_500_000
    _, warning, progress = drawn(session)
    assert session.state is ReceiverState.RECEIVING
    assert warning == "/dev/sda is being overwritten; it is too late to stop it by a key"
    assert progress.startswith(f"{image.manifest.header.name} receiving ")
    assert "20 blocks missing, 1.5 MB received" in progress


def test_an_alarm_is_shown_at_the_seat(session: ReceiverSession) -> None:
    assert "poisoned" not in " ".join(drawn(session))
    session.poison.block_mismatched()
    assert session.poison.alarm in " ".join(drawn(session))


def test_scanning(session: ReceiverSession, image: SimulatedImage) -> None:
    session.manifest_loaded(image.manifest, 1.0)
    session.counters.blocks_to_scan, session.counters.blocks_scanned = 20, 10
    session.counters.catch_up_bytes = 1_500_000
    progress = drawn(session)[-1]
    assert progress.startswith(f"{image.manifest.header.name} scanning ")
    assert "20 blocks missing, 1.5 MB received" in progress
    session.counters.blocks_scanned = 20
    assert " receiving " in drawn(session)[-1]


def test_stopped(arming: ReceiverSession) -> None:
    assert arming.abort(time.monotonic())
    assert drawn(arming)[1] == "stopped at the seat"


@pytest.mark.asyncio
@pytest.mark.parametrize("is_terminal", [True, False])
async def test_esc_stops_it_and_other_keys_do_not(
    arming: ReceiverSession, hands: int, is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    aborts: list[float] = []
    abort = arming.abort
    is_pressed = asyncio.Event()

    def note_abort(now: float) -> bool:
        aborts.append(now)
        is_pressed.set()
        return abort(now)

    monkeypatch.setattr(arming, "abort", note_abort)
    receiver, console = SimpleNamespace(session=arming), Console(file=StringIO(), force_terminal=is_terminal)
    with receiver_display.receiver_display(receiver, console):  # type: ignore[arg-type]  # as above
        os.write(hands, b"\x1b[Aq\n \x1b")
        await is_pressed.wait()
    assert (arming.state, arming.reason, len(aborts)) == (ReceiverState.REFUSED, "stopped at the seat", 1)


@pytest.mark.asyncio
async def test_esc_before_a_session_does_nothing(hands: int) -> None:
    receiver = SimpleNamespace(session=None)
    with receiver_display.receiver_display(receiver, Console(file=StringIO())):  # type: ignore[arg-type]  # as above
        os.write(hands, b"\x1b")
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_without_a_terminal_there_are_two_lines(
    image: SimulatedImage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_display, "POLL_SECONDS", 0.0)
    receiver = SimpleNamespace(session=None)
    said = ""

    async def until(text: str) -> None:
        nonlocal said
        while text not in said:
            await asyncio.sleep(0)
            said += capsys.readouterr().err

    with receiver_display.receiver_display(receiver, Console(file=StringIO())):  # type: ignore[arg-type]  # as above
        receiver.session = session_of(image, LONG)
        await until("to stop\n")
        receiver.session.arming.restart(time.monotonic() - LONG)
        receiver.session.next_message(time.monotonic())
        await until("overwritten\n")
    assert said == (
        "seat row-2: writes to /dev/sda in 1000 s, end this program to stop\n"
        "seat row-2: the countdown is over, /dev/sda will be overwritten\n"
    )


@pytest.mark.asyncio
async def test_without_a_countdown_nothing_is_said(
    session: ReceiverSession, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_display, "POLL_SECONDS", 0.0)
    with receiver_display.receiver_display(SimpleNamespace(session=session), Console(file=StringIO())):  # type: ignore[arg-type]  # as above
        for _ in range(5):
            await asyncio.sleep(0)
    assert capsys.readouterr() == ("", "")

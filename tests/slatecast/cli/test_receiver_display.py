import random
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from broadcaster.announcement import build_announcement
from protocol.messages import FecOti, ReceiverState
from receiver.session import ReceiverSession
from slatecast.cli.receiver_display import _Picture, receiver_display
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, SimulatedImage, draw_image


@pytest.fixture
def image() -> SimulatedImage:
    return draw_image(random.Random(1), 20, 0.5)


@pytest.fixture
def session(image: SimulatedImage) -> ReceiverSession:
    announcement = build_announcement(
        image.manifest,
        tsi=7,
        session_secret=bytes(32),
        group="239.192.0.1",
        port=7000,
        oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH),
    )
    return ReceiverSession(
        announcement, receiver_id="0" * 32, seat="seat", target="disk", rng=random.Random(1), now=0.0
    )


def drawn(session: ReceiverSession | None) -> str:
    console = Console(width=120, file=StringIO(), record=True)
    console.print(_Picture(SimpleNamespace(session=session)))  # type: ignore[arg-type]  # all that a picture looks at
    return console.export_text()


def test_before_a_session() -> None:
    assert drawn(None).strip() == "waiting for a session"


def test_receiving(session: ReceiverSession, image: SimulatedImage) -> None:
    session.manifest_loaded(image.manifest, 1.0)
    session.counters.bytes_received = 1_500_000
    text = drawn(session)
    assert session.state is ReceiverState.RECEIVING
    assert text.startswith(f"{image.manifest.header.name} receiving ")
    assert "20 blocks missing, 1.5 MB received" in text


def test_scanning(session: ReceiverSession, image: SimulatedImage) -> None:
    session.manifest_loaded(image.manifest, 1.0)
    session.counters.blocks_to_scan, session.counters.blocks_scanned = 20, 10
    session.counters.catch_up_bytes = 1_500_000
    text = drawn(session)
    assert text.startswith(f"{image.manifest.header.name} scanning ")
    assert "20 blocks missing, 1.5 MB received" in text
    session.counters.blocks_scanned = 20
    assert " receiving " in drawn(session)


def test_without_a_terminal_nothing_is_drawn(session: ReceiverSession, capsys: pytest.CaptureFixture[str]) -> None:
    receiver = SimpleNamespace(session=session)
    with receiver_display(receiver, Console(stderr=True)):  # type: ignore[arg-type]  # as above
        pass
    assert capsys.readouterr() == ("", "")

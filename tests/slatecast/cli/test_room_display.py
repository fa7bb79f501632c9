import random
from io import StringIO
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from broadcaster.announcement import build_announcement
from broadcaster.rate import RateControl
from broadcaster.report import SeatReport, SessionReport
from broadcaster.session import SenderSession, StartPolicy
from broadcaster.transmission import TransferObject
from protocol.messages import FecOti, ReceiverState
from slatecast.cli import room_display as module
from slatecast.cli.room_display import print_report, room_display, say
from tests.sample_messages import report as receiver_report
from tests.simulator.image import draw_image


@pytest.fixture
def session() -> SenderSession:
    """A session at second 100 that waits for two seats."""
    manifest = draw_image(random.Random(1), 20).manifest
    announcement = build_announcement(
        manifest, tsi=7, session_secret=bytes(32), group="239.192.0.1", port=7000, oti=FecOti()
    )
    return SenderSession(
        announcement,
        manifest_object=TransferObject(1, lambda _: 1),
        disk_object=TransferObject(20, lambda _: 3),
        policy=StartPolicy(2, 60.0),
        rate=RateControl(100_000_000, 100.0),
        now=100.0,
    )


def hear(session: SenderSession, number: int, now: float, **fields: Any) -> None:
    report = receiver_report(number, tsi=f"{7:016x}", **fields)
    session.receive_message(report, now)


def drawn(session: SenderSession, now: float, monkeypatch: pytest.MonkeyPatch) -> str:
    """The picture at a time, as text; the measured rate is that of one megabyte in the last second."""
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now - 1))
    broadcast = SimpleNamespace(session=session, bytes_sent=0)
    picture = module._Picture(broadcast)  # type: ignore[arg-type]  # all that a picture looks at
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    broadcast.bytes_sent = 1_000_000
    console = Console(width=160, file=StringIO(), record=True)
    console.print(picture)
    return console.export_text()


def test_waiting_seats_are_counted(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    hear(session, 1, 100.0)
    text = drawn(session, 101.0, monkeypatch)
    assert "waiting for seats, 1 ready" in text
    assert "seat-1" in text


def test_a_row_tells_what_a_seat_does(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        hear(session, number, 100.0)
    session.next_transmission(100.0)
    known: dict[str, Any] = {"has_manifest": True, "blocks_total": 20, "sequence": 2}
    hear(
        session,
        1,
        105.0,
        **{**known, "state": ReceiverState.RECEIVING, "blocks_missing": 5, "symbols_expected": 200, "symbols_lost": 3},
    )
    hear(session, 2, 105.0, **{**known, "state": ReceiverState.FAILED, "reason": "the disk"})
    headline, _, first, second = drawn(session, 106.0, monkeypatch).splitlines()[:4]
    assert "0 of 20 blocks have left" in headline
    assert "6.0 s, about 2.0 s left, sending 8 Mbit/s of 100 Mbit/s (at the set rate)" in headline
    assert first.split()[:3] == ["seat-1", "•", "receiving"]
    assert first.split()[-2:] == ["5", "1.50%"]
    assert second.split()[:3] == ["seat-2", "✘", "failed"]


def test_a_silent_seat_is_lost(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    hear(session, 1, 100.0)
    assert "? lost" in drawn(session, 120.0, monkeypatch)


def test_read_back_has_a_bar_of_its_own(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    hear(
        session,
        *(1, 100.0),
        state=ReceiverState.VERIFYING,
        blocks_total=20,
        bytes_to_verify=1000,
        bytes_verified=500,
    )
    row = drawn(session, 101.0, monkeypatch).splitlines()[2]
    assert "reading back" in row
    assert 12 <= row.count("━") <= 30  # rich draws the rest of the bar in another colour, without colour not at all


def test_without_a_terminal_nothing_is_drawn(session: SenderSession, capsys: pytest.CaptureFixture[str]) -> None:
    broadcast = SimpleNamespace(session=session, bytes_sent=0)
    with room_display(broadcast, Console(stderr=True)):  # type: ignore[arg-type]  # as above
        pass
    assert capsys.readouterr() == ("", "")


def test_the_final_table_has_every_seat_and_the_totals() -> None:
    verified = SeatReport(
        seat="[red]seat",
        receiver="0" * 32,
        outcome="verified",
        reason="",
        seconds=10.0,
        bytes_received=1_100_000,
        loss_ratio=0.0125,
        repaired=7,
        verified=True,
    )
    lost = msgspec.structs.replace(verified, seat="other", outcome="lost", reason="fell silent", verified=False)
    report = SessionReport(
        session="7" * 16,
        image="lab",
        version=3,
        stored_bytes=1_000_000,
        seconds=12.5,
        end_reason="",
        bytes_on_wire=1_200_000,
        datagrams_sent=1000,
        repair_datagrams=100,
        rate_bits_per_second=1,
        seats=[verified, lost],
    )
    console = Console(width=160, file=StringIO(), record=True)
    print_report(report, console)
    lines = console.export_text().splitlines()
    assert "image lab version 3, session 7777777777777777" in lines[0]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert cells == [
        ["[red]seat", "verified", "10.0 s", "800 kbit/s", "1.25%", "7", "yes"],
        ["other", "lost: fell silent", "10.0 s", "", "1.25%", "7", "no"],
    ]
    assert lines[-1] == (
        "1 of 2 seats verified in 12.5 s; 1.2 MB on the wire for 1.0 MB stored, 10.00% of the datagrams were repair."
    )


def test_a_line_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("[bold]word")
    assert capsys.readouterr() == ("", "[bold]word\n")

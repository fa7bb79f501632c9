from io import StringIO
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

from broadcaster.rate import RateControl
from broadcaster.readiness import StartPolicy
from broadcaster.report import SeatReport, SessionReport
from broadcaster.session import SenderSession
from broadcaster.transmission import TransferObject
from protocol.messages import ReceiverState, SessionPhase
from slatecast.cli import room_display as module
from slatecast.cli.room_display import print_report, room_display, say
from tests.sample_messages import announcement, missing_blocks
from tests.sample_messages import report as receiver_report


@pytest.fixture
def session() -> SenderSession:
    """A session at second 100 that waits for two seats."""
    return SenderSession(
        announcement(),
        manifest_object=TransferObject(1, lambda _: 1),
        disk_object=TransferObject(20, lambda _: 3),
        policy=StartPolicy(2, 60.0),
        rate=RateControl(100_000_000, 100.0),
        now=100.0,
    )


def hear(session: SenderSession, number: int, now: float, **fields: Any) -> None:
    session.receive_message(receiver_report(number, **fields), now)


def drawn(session: SenderSession, now: float, monkeypatch: pytest.MonkeyPatch) -> str:
    """The picture at a time, as text; the measured rate is that of one megabyte in the last second."""
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now - 1))
    broadcast = SimpleNamespace(session=session, bytes_sent=0)
    picture = module._Picture(broadcast)  # type: ignore[arg-type]  # all that a picture looks at
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    broadcast.bytes_sent = 1_000_000
    console = Console(width=200, file=StringIO(), record=True)
    console.print(picture)
    return console.export_text()


def test_waiting_seats_are_counted(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    hear(session, 1, 100.0)
    text = drawn(session, 101.0, monkeypatch)
    assert "waiting for seats, 1 ready" in text
    assert "seat-1" in text


def test_seats_that_count_down_are_counted_and_say_for_how_long(
    session: SenderSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "counting down: 7 s to stop it at the seat"
    hear(session, 1, 100.0)
    hear(session, 2, 100.0, state=ReceiverState.ARMING, reason=why)
    headline, _, _, second = drawn(session, 101.0, monkeypatch).splitlines()[:4]
    assert headline.strip() == "classroom: waiting for seats, 1 ready, 1 counting down"
    assert second.split()[:4] == ["seat-2", "•", "counting", "down"]
    assert second.rstrip().endswith(why)


def in_disk(session: SenderSession) -> dict[str, Any]:
    """Two seats that miss 5 of the 20 blocks, of which none has left; what their next reports have in common."""
    for number in (1, 2):
        hear(session, number, 100.0)
    transmission = session.next_transmission(100.0)
    assert transmission is not None
    session.transmitted(transmission, 100.0)
    known: dict[str, Any] = {"state": ReceiverState.RECEIVING, "has_manifest": True, "has_scanned": True}
    known |= {"blocks_total": 20, "sequence": 2}
    for number in (1, 2):
        hear(session, number, 101.0, **known)
        session.receive_message(missing_blocks(number, 3, ranges=[(0, 5)], block_count=20), 101.0)
    assert session.phase is SessionPhase.DISK
    return {**known, "sequence": 4}


def test_while_the_disks_are_scanned_it_says_so(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        hear(session, number, 100.0)
    scanning = {"state": ReceiverState.RECEIVING, "has_manifest": True, "blocks_total": 20, "blocks_missing": 20}
    hear(session, 1, 101.0, **scanning, sequence=2, blocks_to_scan=20, blocks_scanned=10)
    headline, _, first = drawn(session, 102.0, monkeypatch).splitlines()[:3]
    assert headline.strip() == "classroom: looking for what the disks hold already, 2.0 s"
    assert first.split()[:3] == ["seat-1", "•", "scanning"]


def test_a_row_tells_what_a_seat_does(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    known = in_disk(session)
    hear(session, 1, 105.0, **{**known, "blocks_missing": 5, "symbols_expected": 200, "symbols_lost": 3})
    hear(session, 2, 105.0, **{**known, "state": ReceiverState.FAILED, "reason": "the disk"})
    headline, _, first, second = drawn(session, 106.0, monkeypatch).splitlines()[:4]
    assert "0 of 5 blocks have left" in headline
    assert "6.0 s, about 2.0 s left, sending 8 Mbit/s of 100 Mbit/s (at the set rate)" in headline
    assert first.split()[:3] == ["seat-1", "•", "receiving"]
    assert first.split()[-2:] == ["5", "1.50%"]
    assert second.split()[:3] == ["seat-2", "✘", "failed"]


def test_a_row_tells_what_keeps_a_seat(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    in_disk(session)
    first, second = session.roster.seats()
    first.slow_because = "disk 12 MB/s"
    second.incomplete_because = "1 block is damaged in the library"
    rows = drawn(session, 102.0, monkeypatch).splitlines()[2:4]
    assert rows[0].rstrip().endswith("catching up: disk 12 MB/s")
    assert "✘ incomplete" in rows[1]
    assert rows[1].rstrip().endswith("1 block is damaged in the library")


def test_an_alarm_stands_below_the_seats(session: SenderSession, monkeypatch: pytest.MonkeyPatch) -> None:
    known = in_disk(session)
    assert "ALARM" not in drawn(session, 102.0, monkeypatch)
    words = "poisoned symbols: 2 blocks, source MAC 02:00:00:00:00:66"
    hear(session, 2, 105.0, **{**known, "poisoned_blocks": 2, "alarm": words})
    assert drawn(session, 106.0, monkeypatch).rstrip().splitlines()[-1].rstrip() == f"ALARM at seat-2: {words}"


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
    with room_display(broadcast, Console(stderr=True), Text("who waits")):  # type: ignore[arg-type]  # as above
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
        catch_up_bytes=0,
        loss_ratio=0.0125,
        repaired=7,
        verified=True,
    )
    lost = msgspec.structs.replace(verified, seat="other", outcome="lost", reason="fell silent", verified=False)
    slow = msgspec.structs.replace(verified, seat="slow", bytes_received=100_000, catch_up_bytes=1_000_000)
    report = SessionReport(
        session="7" * 16,
        image="lab",
        version=3,
        stored_bytes=1_000_000,
        seconds=12.5,
        end_reason="",
        bytes_on_wire=1_200_000,
        catch_up_bytes=0,
        datagrams_sent=1000,
        repair_datagrams=100,
        rate_bits_per_second=1,
        seats=[verified, lost, slow],
    )
    console = Console(width=160, file=StringIO(), record=True)
    print_report(report, console)
    lines = console.export_text().splitlines()
    assert "image lab version 3, session 7777777777777777" in lines[0]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert cells == [
        ["[red]seat", "verified", "10.0 s", "880 kbit/s", "1.25%", "7", "yes"],
        ["other", "lost: fell silent", "10.0 s", "", "1.25%", "7", "no"],
        ["slow", "verified", "10.0 s", "880 kbit/s", "1.25%", "7", "yes"],
    ]
    totals = (
        "2 of 3 seats verified in 12.5 s; 1.2 MB on the wire for 1.0 MB stored, 10.00% of the datagrams were repair"
    )
    assert lines[-1] == f"{totals}."
    console = Console(width=200, file=StringIO(), record=True)
    print_report(msgspec.structs.replace(report, catch_up_bytes=1_000_000), console)
    assert console.export_text().splitlines()[-1] == f"{totals}, 1.0 MB were fetched by single seats."


def test_a_line_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("[bold]word")
    assert capsys.readouterr() == ("", "[bold]word\n")

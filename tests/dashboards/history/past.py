"""Ended sessions for tests."""

from dashboards.fleet.views import Sample
from dashboards.history.records import PastSeat, PastSession
from protocol.operators import Happening, Severity

OPENED = 1_790_000_000.0


def past_session(number: int = 1, room: str = "Lab", *, seat_count: int = 2, **changes: str) -> PastSession:
    """Session ``number`` of ``room``, which ended that many minutes after the first; seat 1 has failed."""
    seats = tuple(past_seat(index, "verified" if index != 1 else "failed") for index in range(seat_count))
    return PastSession(
        tsi=f"{number:016x}",
        room=room,
        image=changes.get("image", "windows-11"),
        version=3,
        ordered_by=changes.get("ordered_by", "alice"),
        opened_at=OPENED + number * 60 - 30,
        ended_at=OPENED + number * 60,
        elapsed_seconds=25.5,
        end_reason=changes.get("end_reason", "all seats have settled"),
        disk_size=1 << 40,
        stored_bytes=1 << 35,
        bytes_on_wire=36_000_000_000,
        catch_up_bytes=1_000_000,
        datagrams_sent=25_000_000,
        repair_datagrams=250_000,
        expected_seats=seat_count,
        seat_count=seat_count,
        verified_count=sum(seat.is_verified for seat in seats),
        seats=seats,
        happenings=(Happening(at=OPENED, severity=Severity.ERROR, text="seat 01 failed", receiver_id="ab" * 16),),
        samples=(
            Sample(
                at=OPENED,
                rate_bits_per_second=9e8,
                cap_bits_per_second=10**9,
                set_rate_bits_per_second=9 * 10**8,
                catch_up_bits_per_second=0.0,
                repair_ratio=0.01,
                loss_ratio=0.001,
                worst_loss_ratio=0.1,
                progress_median=0.5,
            ),
        ),
    )


def past_seat(index: int, outcome: str) -> PastSeat:
    return PastSeat(
        name=f"{index:02}",
        machine=f"aa:bb:cc:dd:ee:{index % 256:02x}",
        receiver_id=f"{index:032x}",
        outcome=outcome,
        reason="disk error at sector 2048" if outcome == "failed" else "",
        target="/dev/sda",
        settled_seconds=24.5 if outcome == "verified" else None,
        bytes_received=35_000_000_000,
        catch_up_bytes=500_000,
        bytes_written=30_000_000_000,
        loss_ratio=0.001,
        repaired_blocks=17,
        alarm="",
    )

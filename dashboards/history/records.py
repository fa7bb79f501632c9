"""A session that has ended, as the history keeps it, and how it is made of the picture of the fleet. Pure.

Texts are what receivers and operators wrote, bounded; whoever shows them must not interpret them.
"""

from dataclasses import dataclass
from typing import Final

from dashboards.fleet.views import Sample, SeatState, SeatView, SessionView
from protocol.operators import Happening

MAX_TEXT: Final = 400
"""[characters] of one text: as long as a reason in a report may be"""
MAX_SAMPLES: Final = 2000
"""of one session: the picture holds fewer, and a page draws no more"""
MAX_HAPPENINGS: Final = 2000
"""of one session: a few for each of a thousand seats"""
LARGEST_NUMBER: Final = (1 << 63) - 1
"""that SQLite stores"""


@dataclass(frozen=True, slots=True)
class PastSeat:
    """What became of one seat."""

    name: str
    machine: str
    """stable name of the PC"""
    receiver_id: str
    outcome: str
    """a ``SeatState``"""
    reason: str = ""
    target: str = ""
    """the disk"""
    settled_seconds: float | None = None
    """from the start of sending to its final report; None when there was none"""
    bytes_received: int = 0
    catch_up_bytes: int = 0
    bytes_written: int = 0
    loss_ratio: float = 0.0
    repaired_blocks: int = 0
    alarm: str = ""

    @property
    def is_verified(self) -> bool:
        """Whether its disk was read back and is the image."""
        return self.outcome == SeatState.VERIFIED


@dataclass(frozen=True, slots=True)
class PastSession:
    """One session that has ended."""

    tsi: str
    room: str
    image: str
    version: int
    ordered_by: str
    opened_at: float
    """seconds since 1970"""
    ended_at: float
    """seconds since 1970"""
    elapsed_seconds: float
    """of sending"""
    end_reason: str
    disk_size: int
    stored_bytes: int
    bytes_on_wire: int
    catch_up_bytes: int
    datagrams_sent: int
    repair_datagrams: int
    expected_seats: int
    seat_count: int
    verified_count: int
    has_report: bool = False
    """whether ``History.report`` has one"""
    seats: tuple[PastSeat, ...] = ()
    """in the order of the picture; empty in lists of sessions, as are the next two"""
    happenings: tuple[Happening, ...] = ()
    """oldest first"""
    samples: tuple[Sample, ...] = ()
    """oldest first"""


@dataclass(frozen=True, slots=True)
class SeatRun:
    """One session of one machine, for the history of that machine."""

    tsi: str
    room: str
    image: str
    version: int
    ended_at: float
    seat: PastSeat


def past_session(view: SessionView, ended_at: float) -> PastSession:
    """What is kept of a session; ``ended_at`` in seconds since 1970."""
    return PastSession(
        tsi=view.tsi,
        room=_text(view.room),
        image=_text(view.image),
        version=_count(view.version),
        ordered_by=_text(view.ordered_by),
        opened_at=view.opened_at,
        ended_at=ended_at,
        elapsed_seconds=view.elapsed_seconds,
        end_reason=_text(view.end_reason),
        disk_size=_count(view.disk_size),
        stored_bytes=_count(view.stored_bytes),
        bytes_on_wire=_count(view.bytes_on_wire),
        catch_up_bytes=_count(view.catch_up_bytes),
        datagrams_sent=_count(view.datagrams_sent),
        repair_datagrams=_count(view.repair_datagrams),
        expected_seats=_count(view.expected_seats),
        seat_count=len(view.seats),
        verified_count=sum(seat.state is SeatState.VERIFIED for seat in view.seats),
        seats=tuple(_past_seat(seat) for seat in view.seats),
        happenings=view.happenings[-MAX_HAPPENINGS:],
        samples=view.samples[-MAX_SAMPLES:],
    )


def _past_seat(seat: SeatView) -> PastSeat:
    return PastSeat(
        name=_text(seat.name),
        machine=_text(seat.machine),
        receiver_id=_text(seat.receiver_id),
        outcome=seat.state.value,
        reason=_text(seat.reason),
        target=_text(seat.target),
        settled_seconds=seat.settled_seconds,
        bytes_received=_count(seat.bytes_received),
        catch_up_bytes=_count(seat.catch_up_bytes),
        bytes_written=_count(seat.bytes_written),
        loss_ratio=seat.loss_ratio,
        repaired_blocks=_count(seat.repaired_blocks),
        alarm=_text(seat.alarm),
    )


def _text(text: str) -> str:
    # SQLite takes UTF-8 only, which a lone surrogate has none of.
    return text[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")


def _count(number: int) -> int:
    return max(0, min(number, LARGEST_NUMBER))

"""The report of a session: what every seat came to, in numbers and words, as JSON. Pure."""

import msgspec

from broadcaster.roster import INCOMPLETE, LOST, STALLED, Seat
from broadcaster.session import SenderSession
from protocol.messages import ReceiverState


class SeatReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one seat."""

    seat: str
    receiver: str
    outcome: str
    """verified, refused, failed, damaged, lost, stalled, incomplete, aborted, or absent (expected, and never came)"""
    reason: str
    seconds: float
    """from the start of the session to the seat's final report, or to the end"""
    bytes_received: int
    """UDP payload bytes by multicast, duplicates included"""
    catch_up_bytes: int
    """bytes that it fetched from the catch-up lane"""
    loss_ratio: float
    """source symbols of the first pass that did not arrive, 0 to 1"""
    repaired: int
    """blocks"""
    verified: bool


class SessionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a session came to."""

    session: str
    image: str
    version: int
    stored_bytes: int
    seconds: float
    """from the start of sending to the end, waiting for seats not included"""
    end_reason: str
    bytes_on_wire: int
    """UDP payload bytes to the group: symbols, headers and tags"""
    catch_up_bytes: int
    """bytes that single seats fetched from the catch-up lane"""
    datagrams_sent: int
    repair_datagrams: int
    rate_bits_per_second: int
    """at the end"""
    seats: list[SeatReport]


def build_report(
    session: SenderSession,
    *,
    bytes_on_wire: int,
    catch_up_bytes: int,
    earlier_seconds: float,
    expected_seats: int,
    now: float,
) -> SessionReport:
    """The report as it stands; final once the session has ended. ``earlier_seconds`` it ran before a restart."""
    started_at = session.started_at if session.started_at is not None else now
    end = session.ended_at if session.ended_at is not None else now
    seats = [_seat_report(seat, started_at - earlier_seconds, end) for seat in session.roster.seats()]
    seats += [_absent_seat(number) for number in range(1, expected_seats - len(seats) + 1)]
    return SessionReport(
        session=session.announcement.tsi,
        image=session.announcement.image.name,
        version=session.announcement.image.version,
        stored_bytes=session.announcement.image.stored_bytes,
        seconds=round(earlier_seconds + end - started_at, 3),
        end_reason=session.end_reason,
        # A broadcaster that was killed had sent more than its last record says.
        bytes_on_wire=max(bytes_on_wire, *(seat.bytes_received for seat in seats), 0),
        catch_up_bytes=catch_up_bytes,
        datagrams_sent=session.datagrams_sent,
        repair_datagrams=session.repair_datagrams,
        rate_bits_per_second=session.rate.rate_bits_per_second,
        seats=sorted(seats, key=lambda seat: seat.seat),
    )


def _seat_report(seat: Seat, started_at: float, end: float) -> SeatReport:
    report = seat.report
    outcome = seat.outcome(end)
    if not seat.is_settled and outcome not in (LOST, STALLED, INCOMPLETE):
        outcome = "aborted"
    until = seat.settled_at if seat.settled_at is not None else end
    return SeatReport(
        seat=report.seat,
        receiver=report.receiver_id,
        outcome=outcome,
        reason=report.reason or _reason(seat, outcome),
        seconds=round(max(0.0, until - started_at), 3),
        bytes_received=report.bytes_received,
        catch_up_bytes=report.catch_up_bytes,
        loss_ratio=round(report.symbols_lost / report.symbols_expected, 6) if report.symbols_expected else 0.0,
        repaired=report.blocks_repaired,
        verified=report.state is ReceiverState.VERIFIED,
    )


def _absent_seat(number: int) -> SeatReport:
    return SeatReport(
        seat=f"absent {number}",
        receiver="",
        outcome="absent",
        reason="never came; is it switched on, and on this network?",
        seconds=0.0,
        bytes_received=0,
        catch_up_bytes=0,
        loss_ratio=0.0,
        repaired=0,
        verified=False,
    )


def _reason(seat: Seat, outcome: str) -> str:
    words = {
        LOST: "fell silent; switched off, crashed, or its network is down",
        STALLED: "reports, but gets nowhere",
        INCOMPLETE: seat.incomplete_because,
        "aborted": "the session was ended before it was done",
    }.get(outcome, "")
    if seat.was_slow_because:
        return f"{words}; caught up by itself: {seat.was_slow_because}".removeprefix("; ")
    return words

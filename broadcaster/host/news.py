"""Makes the news for operators out of what the broadcaster knows: its sessions, receivers and images. Pure.

A seat is shown under the name that its room gives it, and once: of a machine that was restarted, the receiver of its
newest start. Planned seats that nobody has come from yet are shown as absent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from broadcaster.host.attendance import Attendant
from broadcaster.host.places import Places
from broadcaster.report import reason_of
from broadcaster.roster import ABORTED, INCOMPLETE, LOST, STALLED, Seat
from broadcaster.session import SenderSession
from protocol.fields import MAX_LONG_TEXT, MAX_SHORT_TEXT
from protocol.messages import ReceiverState, SessionPhase
from protocol.operators import (
    PAGE_LENGTH,
    CaptureNews,
    CapturesNews,
    Happening,
    ImageNews,
    ImagesNews,
    ReceiverNews,
    ReceiversNews,
    SeatNews,
    SeatsNews,
    SessionNews,
    SessionStep,
)
from protocol.wire import TOI_DISK

ABSENT: Final = "absent"

_NEVER_CAME: Final = "has not come; is it switched on, and on this network?"
_GONE: Final = frozenset(
    {ABSENT, ABORTED, LOST, STALLED, INCOMPLETE, *(state.value for state in ReceiverState if state.is_final)}
)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is told of a session that the session itself does not know."""

    room: str
    ordered_by: str
    opened_at: float
    """seconds since 1970"""
    expected_seats: int
    block_count: int
    cap_bits_per_second: int
    bytes_on_wire: int
    catch_up_bytes: int
    earlier_seconds: float
    """that it ran before a restart"""
    backs_up: bool = False
    """whether each disk is captured before it is overwritten"""
    failure: str = ""
    """why it ended, where it did not end by itself"""


def pages_of(items: Sequence[Item]) -> list[tuple[Item, ...]]:
    """At least one page, which may be empty."""
    return [tuple(items[start : start + PAGE_LENGTH]) for start in range(0, max(1, len(items)), PAGE_LENGTH)]


def step_of(session: SenderSession) -> SessionStep:
    """Where the session stands for an operator."""
    if session.phase is SessionPhase.ENDED:
        return SessionStep.ENDED
    if session.is_held:
        return SessionStep.PLANNED
    if session.is_paused:
        return SessionStep.PAUSED
    return SessionStep.RUNNING if session.phase is SessionPhase.DISK else SessionStep.WAITING


def seats_of(session: SenderSession, places: Places, now: float, *, earlier_seconds: float = 0.0) -> list[SeatNews]:
    """Every seat of the session, in the order in which they came, then those that have not come.

    Args:
        session: open or ended.
        places: who stands where.
        now: monotonic seconds, as the session's.
        earlier_seconds: that it ran before a restart.
    """
    moment = now if session.ended_at is None else session.ended_at
    started_at = None if session.started_at is None else session.started_at - earlier_seconds
    found: dict[str, SeatNews] = {}
    for seat in session.roster.seats():
        planned = places.seat_of(seat.report.receiver_id)
        machine = seat.report.receiver_id if planned is None else planned.machine
        name = seat.report.seat if planned is None else planned.seat
        found[machine] = _seat(
            seat, machine[:MAX_SHORT_TEXT], name, moment, started_at, is_over=session.ended_at is not None
        )
    for planned in places.seats:
        if planned.machine not in found:
            found[planned.machine] = _absent(planned.machine, planned.seat, places.receiver_at(planned.machine) or "")
    return list(found.values())


def startable(seats: Iterable[SeatNews]) -> int:
    """How many seats of a plan would be overwritten if it was started now: those that are there and not refused."""
    return sum(map(is_startable, seats))


def is_startable(seat: SeatNews) -> bool:
    """Whether a seat of a plan would be overwritten if it was started now."""
    return seat.outcome not in _GONE


def session_news(
    session: SenderSession,
    facts: SessionFacts,
    seats: Sequence[SeatNews],
    happenings: Sequence[Happening],
    *,
    generation: str,
    sequence: int,
    now: float,
) -> list[SessionNews | SeatsNews]:
    """The pages of seats of a session, then the session as a whole, so that who hears of its end knows the seats."""
    announcement = session.announcement
    end = now if session.ended_at is None else session.ended_at
    running = 0.0 if session.started_at is None else end - session.started_at
    pages = pages_of(seats)
    plan = session.plan(TOI_DISK)
    whole = SessionNews(
        generation=generation,
        tsi=announcement.tsi,
        sequence=sequence,
        room=facts.room,
        image=announcement.image.name,
        version=announcement.image.version,
        disk_size=announcement.image.disk_size,
        stored_bytes=announcement.image.stored_bytes,
        block_count=facts.block_count,
        ordered_by=facts.ordered_by,
        opened_at=facts.opened_at,
        step=step_of(session),
        phase=session.phase,
        position=plan.position if session.phase in (SessionPhase.DISK, SessionPhase.ENDED) else 0,
        elapsed_seconds=max(0.0, facts.earlier_seconds + running),
        rate_bits_per_second=session.rate.rate_bits_per_second,
        cap_bits_per_second=facts.cap_bits_per_second,
        rate_reason=session.rate.reason[:MAX_LONG_TEXT],
        bytes_on_wire=facts.bytes_on_wire,
        catch_up_bytes=facts.catch_up_bytes,
        datagrams_sent=session.datagrams_sent,
        repair_datagrams=session.repair_datagrams,
        expected_seats=facts.expected_seats,
        pages=len(pages),
        end_reason=(facts.failure or session.end_reason)[:MAX_LONG_TEXT],
        happenings=tuple(happenings),
        backs_up=facts.backs_up,
    )
    paged = [
        SeatsNews(generation=generation, tsi=announcement.tsi, sequence=sequence, page=number, seats=page)
        for number, page in enumerate(pages)
    ]
    return [*paged, whole]


def receivers_news(
    attendants: Iterable[Attendant], sessions: dict[str, str], *, generation: str, sequence: int
) -> list[ReceiversNews]:
    """The receivers that are there; ``sessions`` is the tsi that a receiver id takes part in."""
    rows = [
        ReceiverNews(each.receiver_id, each.machine, each.seat, sessions.get(each.receiver_id, ""), each.metrics)
        for each in attendants
    ]
    pages = pages_of(rows)
    return [
        ReceiversNews(generation=generation, sequence=sequence, page=number, pages=len(pages), receivers=page)
        for number, page in enumerate(pages)
    ]


def images_news(images: Sequence[ImageNews], *, generation: str, sequence: int) -> list[ImagesNews]:
    """The images of the library, names in order, the newest version of each first."""
    ordered = sorted(images, key=lambda image: (image.name, -image.version))
    pages = pages_of(ordered)
    return [
        ImagesNews(generation=generation, sequence=sequence, page=number, pages=len(pages), images=page)
        for number, page in enumerate(pages)
    ]


def captures_news(captures: Sequence[CaptureNews], *, generation: str, sequence: int) -> list[CapturesNews]:
    """The captures, in the order in which they were asked for."""
    pages = pages_of(captures)
    return [
        CapturesNews(generation=generation, sequence=sequence, page=number, pages=len(pages), captures=page)
        for number, page in enumerate(pages)
    ]


def _seat(seat: Seat, machine: str, name: str, now: float, started_at: float | None, *, is_over: bool) -> SeatNews:
    report = seat.report
    outcome = seat.outcome(now)
    if is_over and outcome not in _GONE:
        outcome = ABORTED
    settled_at = seat.settled_at
    return SeatNews(
        receiver_id=report.receiver_id,
        machine=machine,
        seat=name,
        outcome=outcome,
        reason=(report.reason or seat.slow_because or reason_of(seat, outcome))[:MAX_LONG_TEXT],
        is_on_catch_up=seat.is_on_catch_up,
        target=report.target,
        silent_seconds=max(0.0, now - seat.heard_at),
        settled_seconds=-1.0 if settled_at is None or started_at is None else max(0.0, settled_at - started_at),
        has_scanned=report.has_scanned,
        blocks_total=report.blocks_total,
        blocks_missing=report.blocks_missing,
        blocks_to_scan=report.blocks_to_scan,
        blocks_scanned=report.blocks_scanned,
        bytes_received=report.bytes_received,
        catch_up_bytes=report.catch_up_bytes,
        symbols_expected=report.symbols_expected,
        symbols_lost=report.symbols_lost,
        blocks_repaired=report.blocks_repaired,
        buffer_drops=report.buffer_drops,
        buffer_fill_ratio=report.buffer_fill_ratio,
        bytes_written=report.bytes_written,
        disk_busy_ratio=report.disk_busy_ratio,
        link_bits_per_second=report.link_bits_per_second,
        bytes_to_verify=report.bytes_to_verify,
        bytes_verified=report.bytes_verified,
        datagrams_rejected=report.datagrams_rejected,
        poisoned_symbols=report.poisoned_symbols,
        alarm=report.alarm,
    )


def _absent(machine: str, name: str, receiver_id: str) -> SeatNews:
    return SeatNews(
        receiver_id=receiver_id or "0" * 32,
        machine=machine,
        seat=name,
        outcome=ABSENT,
        reason=_NEVER_CAME,
        is_on_catch_up=False,
        target="",
        silent_seconds=0.0,
        settled_seconds=-1.0,
        has_scanned=False,
        blocks_total=0,
        blocks_missing=0,
        blocks_to_scan=0,
        blocks_scanned=0,
        bytes_received=0,
        catch_up_bytes=0,
        symbols_expected=0,
        symbols_lost=0,
        blocks_repaired=0,
        buffer_drops=0,
        buffer_fill_ratio=0.0,
        bytes_written=0,
        disk_busy_ratio=0.0,
        link_bits_per_second=0,
        bytes_to_verify=0,
        bytes_verified=0,
        datagrams_rejected=0,
        poisoned_symbols=0,
        alarm="",
    )

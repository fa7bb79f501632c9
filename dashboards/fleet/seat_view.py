"""One seat of a session as an operator sees it: its state, and the reason in words with what bounds it. Pure.

What the broadcaster says of a seat stands. Where it says nothing, the seat's own report tells what holds it: the
network (loss, a slow link), its disk (busy, while its memory fills), its processor (memory fills while the disk has
time), or that it waits, and for what.
"""

from dataclasses import dataclass
from typing import Final

from dashboards.fleet.eta import seat_eta
from dashboards.fleet.progress import RATE_WINDOW, Point, Track, work_of
from dashboards.fleet.views import SeatState, SeatView
from protocol.manifest import CHUNK_SIZE
from protocol.operators import SeatNews, SessionStep

LOSS_TOLD: Final = 0.05
"""Share lost of late from which on the network is said to hold a seat: repair takes that much of everybody's time."""

FULL: Final = 0.75
"""Share of a seat's memory for blocks in use from which on it does not keep up, as the broadcaster judges it."""

DISK_BOUND: Final = 0.5
"""Share of the time in which a disk writes from which on it is the disk that does not keep up."""

MIN_SYMBOLS: Final = 200
"""[symbols] Fewer say nothing about a share of 5 %."""

NOBODY: Final = "0" * 32
"""receiver id of a seat that nobody has come from"""

NOTHING_PLANNED: Final = "the plan was dropped; nothing was written"
_STATES: Final = {state.value: state for state in SeatState} | {"absent": SeatState.OFF}
_GOING: Final = frozenset(
    {
        SeatState.PLANNED,
        SeatState.SCANNING,
        SeatState.ARMING,
        SeatState.READY,
        SeatState.RECEIVING,
        SeatState.CATCHING_UP,
        SeatState.VERIFYING,
    }
)
_DEFAULTS: Final = {
    SeatState.PLANNED: "waiting: for the start",
    SeatState.ARMING: "waiting: counts down before its first write",
    SeatState.READY: "waiting: for the others, or for the description of the image",
    SeatState.REFUSED: "refused without a reason",
    SeatState.FAILED: "failed without a reason",
    SeatState.DAMAGED: "its disk does not hold what was written",
    SeatState.STALLED: "speaks, but gets nowhere",
    SeatState.INCOMPLETE: "can never be complete",
    SeatState.ABORTED: "was stopped",
    SeatState.OFF: "has not come",
}


@dataclass(frozen=True, slots=True)
class Course:
    """What of a session decides how its seats look."""

    step: SessionStep
    rate_bits_per_second: int
    end_reason: str
    was_started: bool
    """it has been more than a plan"""


def seat_state(news: SeatNews, course: Course) -> SeatState:
    """What the seat is doing; one that was under way when its session ended was aborted."""
    state = _STATES.get(news.outcome, SeatState.INCOMPLETE)
    if course.step is SessionStep.ENDED:
        return SeatState.ABORTED if state in _GOING else state
    if state in {SeatState.READY, SeatState.RECEIVING} and news.is_on_catch_up:
        return SeatState.CATCHING_UP
    is_scanning = not news.has_scanned and 0 < news.blocks_to_scan > news.blocks_scanned
    if is_scanning and (state is SeatState.PLANNED or (state is SeatState.RECEIVING and not news.bytes_received)):
        return SeatState.SCANNING
    return state


def seat_view(news: SeatNews, course: Course, track: Track) -> SeatView:
    """The seat by its name in the session; where it stands in a room is said by ``dashboards.fleet.room_view``."""
    state = seat_state(news, course)
    rate = track.bits_received_per_second()
    reason, is_bound = _reason(news, state, course, track, rate)
    missing = min(news.blocks_missing, news.blocks_total) * CHUNK_SIZE
    return SeatView(
        name=news.seat,
        machine=news.machine,
        receiver_id="" if news.receiver_id == NOBODY else news.receiver_id,
        state=state,
        reason=reason,
        progress=track.progress(state),
        rate_bits_per_second=rate if state in _GOING else 0.0,
        eta_seconds=None if course.step is SessionStep.PAUSED else seat_eta(state, work_of(news), track),
        target=news.target,
        missing_bytes=missing if news.has_scanned and news.blocks_total else None,
        is_slow=state in _GOING and (news.is_on_catch_up or is_bound),
        loss_ratio=min(1.0, news.symbols_lost / news.symbols_expected) if news.symbols_expected else 0.0,
        repaired_blocks=news.blocks_repaired,
        bytes_received=news.bytes_received,
        catch_up_bytes=news.catch_up_bytes,
        bytes_written=news.bytes_written,
        link_bits_per_second=news.link_bits_per_second,
        disk_busy_ratio=news.disk_busy_ratio,
        buffer_fill_ratio=news.buffer_fill_ratio,
        silent_seconds=news.silent_seconds,
        settled_seconds=news.settled_seconds if news.settled_seconds >= 0 else None,
        alarm=news.alarm,
    )


def _reason(news: SeatNews, state: SeatState, course: Course, track: Track, rate: float) -> tuple[str, bool]:
    """Why it is as it is, and whether that makes it slow."""
    text, is_bound = news.reason, False
    if not text and course.step is SessionStep.ENDED and state is SeatState.ABORTED:
        text = f"the session ended before it was done: {course.end_reason}" if course.was_started else NOTHING_PLANNED
    elif not text and state is SeatState.LOST:
        text = f"not heard for {news.silent_seconds:.0f} s"
    elif not text and state is SeatState.SCANNING:
        text = f"has looked through {news.blocks_scanned / max(1, news.blocks_to_scan):.0%} of its disk"
    elif not text and course.step is SessionStep.PAUSED and state in _GOING:
        text = "waiting: the session is paused"
    elif not text and state in {SeatState.RECEIVING, SeatState.CATCHING_UP}:
        text = _bound(news, course, track)
        is_bound = bool(text)
        if not text and not rate and track.before(RATE_WINDOW) is not None:
            text = f"waiting: nothing has reached it for {RATE_WINDOW:.0f} s"
    return text or _DEFAULTS.get(state, ""), is_bound


def _bound(news: SeatNews, course: Course, track: Track) -> str:
    """What holds a seat back that receives; empty when nothing does."""
    before, latest = track.before(RATE_WINDOW), track.latest
    if before is not None and latest is not None and latest.expected - before.expected >= MIN_SYMBOLS:
        loss = (latest.lost - before.lost) / (latest.expected - before.expected)
        if loss > LOSS_TOLD:
            return f"network: {min(1.0, loss):.0%} of what is sent does not reach it"
    if 0 < news.link_bits_per_second < course.rate_bits_per_second:
        link, sent = (bits / 1e6 for bits in (news.link_bits_per_second, course.rate_bits_per_second))
        return f"network: its link takes {link:.0f} Mbit/s, and {sent:.0f} Mbit/s are sent"
    if news.buffer_fill_ratio < FULL:
        return ""
    if news.disk_busy_ratio >= DISK_BOUND:
        return f"disk: busy {news.disk_busy_ratio:.0%} of the time, takes {_written(before, latest)} MB/s"
    return f"CPU: it gets through {_written(before, latest)} MB/s only, and its disk has time"


def _written(before: Point | None, latest: Point | None) -> str:
    if before is None or latest is None or latest.at <= before.at:
        return "?"
    return f"{max(0, latest.written - before.written) / (latest.at - before.at) / 1e6:.0f}"

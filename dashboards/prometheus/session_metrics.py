"""Metrics of sessions and rooms as a whole: progress, time left, rates, loss and repair. Pure."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from dashboards.fleet.views import FleetView, SeatState, SessionView, Spread
from dashboards.prometheus.seat_metrics import Told, told_sessions
from protocol.link.metric import MetricDescription
from protocol.operators import SessionStep

MAX_SESSIONS_TOLD: Final = 256
"""[sessions] in one scrape: as many as a broadcaster may have open."""

_LOSS_RANKS: Final = ("median", "maximum")


def _of_session(name: str, unit: str, meaning: str, advice: str, *labels: str) -> MetricDescription:
    return MetricDescription(f"slatecast_session_{name}", unit, meaning, advice, ("room", "session", *labels))


def _of_room(name: str, unit: str, meaning: str, advice: str, *labels: str) -> MetricDescription:
    return MetricDescription(f"slatecast_room_{name}", unit, meaning, advice, ("room", *labels))


INFO = _of_session(
    *("info", "1", "Always 1: the labels say which image is cast and who ordered it"),
    "To be joined to other metrics of the session.",
    *("image", "version", "ordered_by"),
)
STEP = _of_session(
    *("step", "1", "The step that the session is in; the series of the other steps are not there"),
    "`planned` waits for an operator's start, `waiting` for seats; `paused` goes on only when an operator says so.",
    "step",
)
PROGRESS = _of_session(
    *("progress_ratio", "ratio", "Progress of the seats that take part: the least, the middle and the greatest"),
    "The least is the truth about when the room is done; far behind the median there is a seat in trouble.",
    "rank",
)
ETA = _of_session(
    *("eta_seconds", "seconds", "Time until the last seat is verified; not there while nobody can tell"),
    "When the room can be used again.",
)
ELAPSED = _of_session(
    *("elapsed_seconds", "seconds", "Time since sending began, earlier runs included; 0 before"),
    "Compare it with earlier casts of the same image.",
)
WIRE_RATE = _of_session(
    *("wire_rate_bytes_per_second", "bytes per second", "What left to the group in the last second"),
    "0 in a running session: only repair or catch-up is left, or the library cannot be read.",
)
RATE = _of_session(
    *("rate_bytes_per_second", "bytes per second", "Rate that the rate control allows now"),
    "It falls when many seats lose or cannot keep up.",
)
CAP = _of_session(
    *("cap_bytes_per_second", "bytes per second", "The rate never goes beyond it"),
    "Set by `--rate`, the configuration or the operator who planned the session.",
)
SENT = _of_session(
    *("sent_bytes_total", "bytes", "UDP payload bytes that left to the group"),
    "Not much more than the image, whatever the number of seats.",
)
CATCH_UP = _of_session(
    *("catch_up_bytes_total", "bytes", "Bytes served by the catch-up lane"),
    "Each seat there costs its own copy; many at once are a sign that the multicast does not arrive.",
)
DATAGRAMS = _of_session(
    *("datagrams_sent_total", "datagrams", "Datagrams that left to the group"), "The base of the share of repair."
)
REPAIR = _of_session(
    *("repair_datagrams_sent_total", "datagrams", "Of these, the ones sent for repair"),
    "A few percent is usual; over a quarter is over budget.",
)
REPAIR_RATIO = _of_session(
    *("repair_ratio", "ratio", "Share of repair in the datagrams of the newest sample"),
    "Near 1 at the end of a session, when only holes are left to fill.",
)
LOSS = _of_session(
    *("loss_ratio", "ratio", "Loss in the newest sample: of the median seat and of the worst"),
    "A high median is the network or the rate; a high maximum alone is one seat.",
    "rank",
)
SEATS = _of_session(
    *("seats", "seats", "Seats of the session by state, states without a seat included"),
    "All in `verified` is the end that everybody waits for.",
    "state",
)
EXPECTED = _of_session(
    *("expected_seats", "seats", "Seats that the session is for"), "More than there are in `seats`: some never came."
)
AGE = _of_session(
    *("age_seconds", "seconds", "Age of what the console knows of an open session"),
    "Over a few seconds the picture is old: broker, broadcaster or network.",
)
ROOM_PROGRESS = _of_room(
    *("progress_ratio", "ratio", "Progress of the room's session, over the seats that take part"),
    "As `slatecast_session_progress_ratio`; 0 without a session.",
    "rank",
)
ROOM_ETA = _of_room(
    *("eta_seconds", "seconds", "Time until the room's last seat is verified; not there while nobody can tell"),
    "When the room can be used again.",
)
ROOM_SEATS = _of_room(
    *("seats", "seats", "Seats of the room by state, states without a seat included"),
    "`off` seats are switched off or have no network; `empty` ones have no machine assigned.",
    "state",
)

METRICS: Final = (
    *(INFO, STEP, PROGRESS, ETA, ELAPSED, WIRE_RATE, RATE, CAP, SENT, CATCH_UP, DATAGRAMS, REPAIR, REPAIR_RATIO),
    *(LOSS, SEATS, EXPECTED, AGE, ROOM_PROGRESS, ROOM_ETA, ROOM_SEATS),
)
"""All metrics of sessions and rooms, in the order in which they are exported."""


def told_of_sessions(view: FleetView) -> Iterator[Told]:
    """The values of at most MAX_SESSIONS_TOLD sessions and of all rooms."""
    for session, _ in zip(told_sessions(view), range(MAX_SESSIONS_TOLD), strict=False):
        labels = (session.room, session.tsi)
        yield INFO, 1, (*labels, session.image, str(session.version), session.ordered_by)
        yield STEP, 1, (*labels, session.step.value)
        yield from ((description, value, labels) for description, value in _plain_values(session).items())
        yield from ((PROGRESS, value, (*labels, rank)) for rank, value in _ranked(session.spread))
        counts = Counter(seat.state for seat in session.seats)
        yield from ((SEATS, counts[state], (*labels, state.value)) for state in SeatState)
        if session.samples:
            newest = session.samples[-1]
            yield REPAIR_RATIO, newest.repair_ratio, labels
            losses = (newest.loss_ratio, newest.worst_loss_ratio)
            yield from ((LOSS, loss, (*labels, rank)) for rank, loss in zip(_LOSS_RANKS, losses, strict=True))
    for room in view.rooms:
        yield from ((ROOM_PROGRESS, value, (room.name, rank)) for rank, value in _ranked(room.spread))
        yield from ((ROOM_SEATS, dict(room.counts).get(state, 0), (room.name, state.value)) for state in SeatState)
        if room.eta_seconds is not None:
            yield ROOM_ETA, room.eta_seconds, (room.name,)


def _plain_values(session: SessionView) -> dict[MetricDescription, float]:
    values: dict[MetricDescription, float] = {
        ELAPSED: session.elapsed_seconds,
        WIRE_RATE: session.wire_bits_per_second / 8,
        RATE: session.rate_bits_per_second / 8,
        CAP: session.cap_bits_per_second / 8,
        SENT: session.bytes_on_wire,
        CATCH_UP: session.catch_up_bytes,
        DATAGRAMS: session.datagrams_sent,
        REPAIR: session.repair_datagrams,
        EXPECTED: session.expected_seats,
    }
    if session.eta_seconds is not None:
        values[ETA] = session.eta_seconds
    if session.step is not SessionStep.ENDED:
        values[AGE] = session.age_seconds
    return values


def _ranked(spread: Spread) -> tuple[tuple[str, float], ...]:
    return ("minimum", spread.minimum), ("median", spread.median), ("maximum", spread.maximum)

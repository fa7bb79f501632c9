"""Metrics of single seats: what each does, how far it is, and what slows it. Pure.

A seat that takes part in no session has its state only. A seat's state is one series, there while the seat is in it: a
one-hot series for each state of a thousand seats would be eighteen thousand.
"""

from collections.abc import Iterator
from typing import Final

from dashboards.fleet.views import FleetView, SeatState, SeatView, SessionView
from protocol.link.metric import MetricDescription
from protocol.operators import SessionStep

MAX_SEATS_TOLD: Final = 3072
"""[seats] in one scrape: as many as a session may have; some 50,000 series. Those in a session come first."""

Told = tuple[MetricDescription, float, tuple[str, ...]]
"""one value of a metric, with its labels"""

PREFIX: Final = "slatecast_seat"
SEAT_LABELS: Final = ("room", "seat", "session", "machine")


def _described(name: str, unit: str, meaning: str, advice: str, *labels: str) -> MetricDescription:
    return MetricDescription(f"{PREFIX}_{name}", unit, meaning, advice, (*SEAT_LABELS, *labels))


STATE = _described(
    "state",
    "1",
    "The state that the seat is in; the series of the other states are not there",
    "`failed`, `damaged`, `refused`, `lost`, `stalled`, `incomplete`, `aborted` need somebody; the console says why.",
    "state",
)
PROGRESS = _described(
    "progress_ratio",
    "ratio",
    "How far the seat is with this session, 1 only when its disk is read back and verified",
    "Standing still for minutes while the session runs: the seat is stuck.",
)
ETA = _described(
    "eta_seconds",
    "seconds",
    "Time until the seat is verified; not there while nobody can tell",
    "Much more than that of the other seats: this one will be the last.",
)
RATE = _described(
    "receive_rate_bytes_per_second",
    "bytes per second",
    "What the seat received in the last seconds",
    "Below the wire rate of the session the seat loses datagrams; 0 means that nothing arrives.",
)
SLOW = _described(
    "slow",
    "0 or 1",
    "1 when the seat is on the catch-up lane or something is known to slow it",
    "The console names the reason: link, disk, loss or no multicast.",
)
MISSING = _described(
    "missing_bytes",
    "bytes",
    "Bytes of the disk that have to be sent; not there while it is not known",
    "Falls to 0; small from the start when an older version of the image is on the disk.",
)
LOSS = _described(
    "loss_ratio",
    "ratio",
    "Share of the first pass that did not arrive",
    "Under 0.01 is healthy; over 0.05 at one seat is its cable or port, at all seats the switch or the rate.",
)
REPAIRED = _described("repaired_blocks_total", "blocks", "Blocks completed by repair", "Rises with the loss.")
RECEIVED = _described(
    "received_bytes_total",
    "bytes",
    "UDP payload bytes that came by multicast in this session, duplicates included",
    "Standing still while the session sends: the multicast does not reach this seat.",
)
CATCH_UP = _described(
    "catch_up_bytes_total",
    "bytes",
    "Bytes that came by the catch-up lane",
    "Rises at a seat that was too slow for the group or came late.",
)
WRITTEN = _described(
    "written_bytes_total", "bytes", "Bytes that the disk has taken", "Its rate is the speed of the disk."
)
DISK_BUSY = _described(
    "disk_busy_ratio",
    "ratio",
    "Share of the last report's time in which the disk was writing",
    "Near 1 the disk is what limits this seat.",
)
BUFFER_FILL = _described(
    "buffer_fill_ratio",
    "ratio",
    "Share of the memory for blocks, or of the receive buffer, that is in use",
    "Near 1 the seat is about to drop what it receives.",
)
LINK = _described(
    "link_bytes_per_second",
    "bytes per second",
    "Speed of the seat's interface, 0 when it does not tell",
    "12.5e6 is a port at 100 Mbit/s: change the cable or the port.",
)
SILENT = _described(
    "silent_seconds",
    "seconds",
    "Time since the seat was last heard",
    "Under 2 when all is well; a seat counts as lost after some ten seconds.",
)

METRICS: Final = (
    *(STATE, PROGRESS, ETA, RATE, SLOW, MISSING, LOSS, REPAIRED, RECEIVED, CATCH_UP, WRITTEN, DISK_BUSY),
    *(BUFFER_FILL, LINK, SILENT),
)
"""All metrics of seats, in the order in which they are exported."""

_NOT_THERE: Final = frozenset({SeatState.EMPTY, SeatState.OFF})


def told_sessions(view: FleetView) -> Iterator[SessionView]:
    """Open sessions, and of the rooms without one the last that ended: an old failure is no longer news."""
    rooms: set[str] = set()
    for session in view.sessions:
        if session.step is not SessionStep.ENDED or session.room not in rooms:
            rooms.add(session.room)
            yield session


def placed(view: FleetView) -> Iterator[tuple[tuple[str, str, str, str], SeatView]]:
    """Every seat once, with its labels: those in sessions first, then those of rooms, then those without a place."""
    named: set[tuple[str, str]] = set()
    machines: set[str] = set()
    for session in told_sessions(view):
        for seat in session.seats:
            named.add((session.room, seat.name))
            machines.add(seat.machine)
            yield (session.room, seat.name, session.tsi, seat.machine), seat
    for room in view.rooms:
        for seat in room.seats:
            if (room.name, seat.name) not in named:
                machines.add(seat.machine)
                yield (room.name, seat.name, "", seat.machine), seat
    for seat in view.tray:
        if seat.machine not in machines:
            yield ("", seat.name, "", seat.machine), seat


def told_of_seats(view: FleetView) -> Iterator[Told]:
    """The values of at most MAX_SEATS_TOLD seats."""
    for (labels, seat), _ in zip(placed(view), range(MAX_SEATS_TOLD), strict=False):
        yield STATE, 1, (*labels, seat.state.value)
        if labels[2] and seat.state not in _NOT_THERE:
            yield from ((description, value, labels) for description, value in _of_a_session(seat).items())


def _of_a_session(seat: SeatView) -> dict[MetricDescription, float]:
    values: dict[MetricDescription, float] = {
        PROGRESS: seat.progress,
        RATE: seat.rate_bits_per_second / 8,
        SLOW: float(seat.is_slow),
        LOSS: seat.loss_ratio,
        REPAIRED: seat.repaired_blocks,
        RECEIVED: seat.bytes_received,
        CATCH_UP: seat.catch_up_bytes,
        WRITTEN: seat.bytes_written,
        DISK_BUSY: seat.disk_busy_ratio,
        BUFFER_FILL: seat.buffer_fill_ratio,
        LINK: seat.link_bits_per_second / 8,
        SILENT: seat.silent_seconds,
    }
    if seat.eta_seconds is not None:
        values[ETA] = seat.eta_seconds
    if seat.missing_bytes is not None:
        values[MISSING] = seat.missing_bytes
    return values

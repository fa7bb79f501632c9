"""How far a seat is, as one number from 0 to 1, and how fast it gets on. Pure.

The work of a seat is measured in bytes of its disk: each one that it has to write counts once, each one that it has to
read back counts READ_BACK_WEIGHT. What it found on its disk beforehand is no work to write. Progress is the share of
that work which is done:

    (written + weight * read back) / (written + missing + weight * to read back)

It never falls within a session, also not when the PC starts again and takes up its work: the largest share that its
machine has had stands. It is 1 only when the seat has read back everything and is verified; before that it stays below
ALMOST, whatever the seat says.
"""

from collections import deque
from collections.abc import Iterable
from statistics import median
from typing import Final, NamedTuple

from dashboards.fleet.views import SeatState, Spread
from protocol.manifest import CHUNK_SIZE
from protocol.operators import SeatNews

READ_BACK_WEIGHT: Final = 0.5
"""Chosen: a disk is read about twice as fast as a room is sent to and a disk is written."""

ALMOST: Final = 0.999
"""Largest progress of a seat that is not verified."""

RATE_WINDOW: Final = 5.0
"""[s] over which a rate is measured: long enough that reports which come twice a second do not make it jump."""

WORK_WINDOW: Final = 20.0
"""[s] over which the speed of work is measured: a disk that pauses to flush does so for less."""

_CLOSEST: Final = 0.5
"""[s] between two points: seats report no more often."""


class Work(NamedTuple):
    """Weighted bytes."""

    done: float
    total: float
    """0 while it is not known"""


class Point(NamedTuple):
    """What a seat had come to at one time."""

    at: float
    """s"""
    received: int
    """bytes, by multicast and from the catch-up lane"""
    written: int
    """bytes"""
    work: float
    """weighted bytes"""
    expected: int
    """symbols of the first pass"""
    lost: int
    """of these"""


def work_of(news: SeatNews) -> Work:
    """The work of a seat, as far as it can be told; nothing before it knows the image."""
    if not news.blocks_total:
        return Work(0.0, 0.0)
    to_read = news.bytes_to_verify or news.blocks_total * CHUNK_SIZE
    read = min(news.bytes_verified, to_read)
    done = news.bytes_written + READ_BACK_WEIGHT * read
    return Work(done, news.bytes_written + news.blocks_missing * CHUNK_SIZE + READ_BACK_WEIGHT * to_read)


class Track:
    """What one machine has done in one session; each of its starts is measured on its own, since it counts from 0."""

    def __init__(self) -> None:
        self.share = 0.0
        """of the work that is done, 0 to ALMOST"""
        self._receiver_id = ""
        self._points: deque[Point] = deque()

    def receive(self, news: SeatNews, now: float) -> None:
        """Note what the seat has come to by ``now``."""
        if news.receiver_id != self._receiver_id:
            self._receiver_id = news.receiver_id
            self._points.clear()
        work = work_of(news)
        if work.total:
            self.share = max(self.share, min(ALMOST, work.done / work.total))
        point = Point(
            now,
            news.bytes_received + news.catch_up_bytes,
            news.bytes_written,
            work.done,
            news.symbols_expected,
            news.symbols_lost,
        )
        points = self._points
        if len(points) > 1 and now - points[-2].at < _CLOSEST:
            points[-1] = point
        else:
            points.append(point)
        while len(points) > 2 and points[1].at <= now - WORK_WINDOW:
            points.popleft()

    def progress(self, state: SeatState) -> float:
        """Share of the work that is done, 0 to 1; 1 for a verified seat alone."""
        return 1.0 if state is SeatState.VERIFIED else self.share

    @property
    def latest(self) -> Point | None:
        """The newest point."""
        return self._points[-1] if self._points else None

    def before(self, seconds: float) -> Point | None:
        """The point that lies about so many seconds before the newest one; None when there is but one."""
        if len(self._points) < 2:
            return None
        limit = self._points[-1].at - seconds
        earlier = self._points[0]
        for index in range(len(self._points) - 2, -1, -1):
            earlier = self._points[index]
            if earlier.at <= limit:
                break
        return earlier

    def bits_received_per_second(self) -> float:
        """Over the last RATE_WINDOW."""
        before, latest = self.before(RATE_WINDOW), self.latest
        if before is None or latest is None or latest.at <= before.at:
            return 0.0
        return max(0.0, (latest.received - before.received) * 8 / (latest.at - before.at))


def spread_of(seats: Iterable[tuple[SeatState, float]]) -> Spread:
    """Of the progress of the seats that take part: a seat that was refused, has failed or never came is none."""
    progress = [share for state, share in seats if takes_part(state)]
    return Spread(min(progress), median(progress), max(progress)) if progress else Spread()


def takes_part(state: SeatState) -> bool:
    """Whether a seat is still to be finished, or is."""
    return state is SeatState.VERIFIED or not (state.is_final or state is SeatState.OFF)

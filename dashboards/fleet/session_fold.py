"""One session, folded from what the broadcaster tells of it. Pure.

The newest word by ``sequence`` stands; words that are lost, repeated or late change nothing but the age of the
picture. What one word does not hold is kept here: the progress and speed of each seat, the timeline, and happenings
that are no longer among the newest.
"""

import dataclasses
from math import inf
from statistics import median
from typing import Final, NamedTuple

from dashboards.fleet.eta import session_eta
from dashboards.fleet.paged import Paged
from dashboards.fleet.progress import Track, spread_of
from dashboards.fleet.seat_view import Course, seat_view
from dashboards.fleet.timeline import SAMPLE_INTERVAL, Timeline
from dashboards.fleet.views import Sample, SeatView, SessionView
from protocol.fields import MAX_SEATS
from protocol.operators import Happening, SeatNews, SeatsNews, SessionNews, SessionStep

MAX_HAPPENINGS_KEPT: Final = 1000
"""[entries] of one session, the newest; bounds a session that nobody ends"""

NOT_TOLD_ANY_MORE: Final = "the broadcaster tells of it no more: its end was not heard; see its report"
_EARLY: Final = 0.1
"""[s] by which a word may come early and still count as a second later"""


class _Counters(NamedTuple):
    at: float
    """s"""
    bytes_on_wire: int
    catch_up_bytes: int
    datagrams: int
    repair_datagrams: int


class SessionFold:
    """What is known of one session; ``head`` is the newest word on it as a whole."""

    def __init__(self, tsi: str) -> None:
        self.tsi = tsi
        self.head: SessionNews | None = None
        self.heard_at = -inf
        """s, when anything new of it last came"""
        self.was_started = False
        """it has been more than a plan"""
        self._is_restarted = False
        self._seats: Paged[SeatNews] = Paged(_key)
        self._tracks: dict[str, Track] = {}
        self._timeline = Timeline()
        self._happenings: dict[Happening, None] = {}
        self._counted: _Counters | None = None
        self._wire_bits_per_second = 0.0
        self._picture: SessionView | None = None
        self._was_given_up = False
        self._course: Course | None = None
        self._seat_views: dict[str, tuple[SeatNews, SeatView]] = {}

    def receive_head(self, news: SessionNews, now: float, broadcaster_time: float) -> bool:
        """Take a word on the session as a whole; False when it is older than what is known."""
        if self.head is not None and news.sequence <= self.head.sequence and not self._is_restarted:
            return False
        self.head = news
        self._is_restarted = False
        self._seats.receive_count(news.sequence, news.pages)
        self.was_started |= news.step not in {SessionStep.PLANNED, SessionStep.ENDED} or news.elapsed_seconds > 0
        self._happenings.update(dict.fromkeys(news.happenings))
        if len(self._happenings) > MAX_HAPPENINGS_KEPT:
            kept = sorted(self._happenings, key=lambda happening: happening.at)[-MAX_HAPPENINGS_KEPT:]
            self._happenings = dict.fromkeys(kept)
        self._sample(news, now, broadcaster_time)
        self._heard(now)
        return True

    def receive_seats(self, news: SeatsNews, now: float) -> bool:
        """Take a page of its seats; False when it is older than what is known."""
        if not self._seats.receive(news.sequence, news.page, news.seats):
            return False
        for seat in news.seats:
            track = self._tracks.get(_key(seat))
            if track is None:
                track = self._tracks[_key(seat)] = Track()
            track.receive(seat, now)
        if len(self._tracks) > 2 * MAX_SEATS:
            there = set(map(_key, self._seats))
            self._tracks = {key: track for key, track in self._tracks.items() if key in there}
        self._heard(now)
        return True

    def restarted(self) -> None:
        """Another broadcaster takes it over: its words count from the beginning, and so may its totals."""
        self._is_restarted = True
        self._counted = None
        self._seats.restarted()

    def step(self, *, is_given_up: bool) -> SessionStep:
        """Where it stands; one that the broadcaster ``is_given_up`` telling of has ended."""
        return SessionStep.ENDED if self.head is None or is_given_up else self.head.step

    def view(self, now: float, *, is_given_up: bool) -> SessionView | None:
        """The session as it is shown; None while only its seats are known."""
        if self.head is None:
            return None
        if self._picture is None or self._was_given_up != is_given_up:
            self._picture, self._was_given_up = self._made(self.head, is_given_up=is_given_up), is_given_up
        return dataclasses.replace(self._picture, age_seconds=max(0.0, now - self.heard_at))

    def _heard(self, now: float) -> None:
        self.heard_at = max(self.heard_at, now)
        self._picture = None

    def _made(self, head: SessionNews, *, is_given_up: bool) -> SessionView:
        step = self.step(is_given_up=is_given_up)
        end_reason = head.end_reason or (NOT_TOLD_ANY_MORE if is_given_up else "")
        seats = self._seen(Course(step, head.rate_bits_per_second, end_reason, self.was_started))
        is_going = step in {SessionStep.WAITING, SessionStep.RUNNING}
        return SessionView(
            tsi=self.tsi,
            room=head.room,
            image=head.image,
            version=head.version,
            disk_size=head.disk_size,
            stored_bytes=head.stored_bytes,
            ordered_by=head.ordered_by,
            opened_at=head.opened_at,
            step=step,
            elapsed_seconds=head.elapsed_seconds,
            eta_seconds=session_eta((seat.state, seat.eta_seconds) for seat in seats) if is_going else None,
            rate_bits_per_second=head.rate_bits_per_second,
            wire_bits_per_second=self._wire_bits_per_second if step is SessionStep.RUNNING else 0.0,
            cap_bits_per_second=head.cap_bits_per_second,
            rate_reason=head.rate_reason,
            bytes_on_wire=head.bytes_on_wire,
            catch_up_bytes=head.catch_up_bytes,
            datagrams_sent=head.datagrams_sent,
            repair_datagrams=head.repair_datagrams,
            expected_seats=head.expected_seats,
            end_reason=end_reason,
            seats=seats,
            spread=spread_of((seat.state, seat.progress) for seat in seats),
            happenings=tuple(sorted(self._happenings, key=lambda happening: happening.at)),
            samples=self._timeline.samples(),
            age_seconds=0.0,
            backs_up=head.backs_up,
        )

    def _seen(self, course: Course) -> tuple[SeatView, ...]:
        """Its seats; those that nothing new was said of are as they were at the look before."""
        known = self._seat_views if course == self._course else {}
        self._course, self._seat_views = course, {}
        for seat in self._seats:
            key = _key(seat)
            if key not in known or known[key][0] is not seat:
                self._seat_views[key] = (seat, seat_view(seat, course, self._tracks[key]))
            else:
                self._seat_views[key] = known[key]
        return tuple(view for _, view in self._seat_views.values())

    def _sample(self, news: SessionNews, now: float, broadcaster_time: float) -> None:
        counters = _Counters(now, news.bytes_on_wire, news.catch_up_bytes, news.datagrams_sent, news.repair_datagrams)
        before = self._counted
        if before is not None and now - before.at < SAMPLE_INTERVAL - _EARLY:
            return
        self._counted = counters
        if before is None or news.step is SessionStep.PLANNED:
            return
        seconds = now - before.at
        datagrams = counters.datagrams - before.datagrams
        repair = max(0, counters.repair_datagrams - before.repair_datagrams)
        self._wire_bits_per_second = max(0, counters.bytes_on_wire - before.bytes_on_wire) * 8 / seconds
        losses = [seat.symbols_lost / seat.symbols_expected for seat in self._seats if seat.symbols_expected]
        shares = [self._tracks[_key(seat)].share for seat in self._seats]
        self._timeline.add(
            Sample(
                at=broadcaster_time,
                rate_bits_per_second=self._wire_bits_per_second,
                cap_bits_per_second=news.cap_bits_per_second,
                set_rate_bits_per_second=news.rate_bits_per_second,
                catch_up_bits_per_second=max(0, counters.catch_up_bytes - before.catch_up_bytes) * 8 / seconds,
                repair_ratio=min(1.0, repair / datagrams) if datagrams > 0 else 0.0,
                loss_ratio=min(1.0, median(losses)) if losses else 0.0,
                worst_loss_ratio=min(1.0, max(losses)) if losses else 0.0,
                progress_median=median(shares) if shares else 0.0,
            ),
            seconds,
        )


def _key(seat: SeatNews) -> str:
    """A seat is told of once, under its machine, whichever receiver runs there."""
    return seat.machine or seat.receiver_id

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.rate import (
    FLOOR_RATIO,
    MIN_SAMPLE_SYMBOLS,
    RISE_FACTORS,
    STEP_DOWN_LOSS_RATIO,
    TRIAL_FACTOR,
    RateControl,
)
from protocol.messages import ReceiverReport
from tests.sample_messages import receiver_id, report

CEILING = 1_000_000_000
START = 100_000_000

SYMBOL = 1416
"""bytes"""

REPORT_INTERVAL = 0.5
"""[s] of a receiver"""

TICK = 0.025
"""[s] of the model"""

BUFFER = 32 << 20
"""bytes of a receive buffer"""


class Seat:
    """What one seat gets of what is sent, and what it says of it."""

    def __init__(self, number: int, reports_at: float) -> None:
        self.number = number
        self.reports_at = reports_at
        self.loss: Callable[[float, float], float] = lambda now, rate: 0.0
        """share that is lost on the way, by time and rate"""
        self.takes = float("inf")
        """bits per second that it decodes and writes"""
        self.expected = self.lost = self.received = self.drops = self.backlog = 0.0
        self.fill = 0.0

    def tick(self, now: float, rate: float, rng: random.Random) -> None:
        symbols = rate * TICK / 8 / SYMBOL
        lost = self.loss(now, rate)
        if 0.0 < lost < 1.0:
            lost = min(1.0, max(0.0, rng.gauss(lost, (lost * (1 - lost) / symbols) ** 0.5)))
        arrived = symbols * (1 - lost)
        waiting = self.backlog + arrived * SYMBOL
        left = max(0.0, waiting - self.takes * TICK / 8)
        dropped = max(0.0, left - BUFFER) / SYMBOL
        self.backlog = min(left, float(BUFFER))
        self.fill = max(self.fill, self.backlog / BUFFER)
        self.expected += symbols
        self.lost += symbols - arrived + dropped
        self.drops += dropped
        self.received += (arrived - dropped) * SYMBOL

    def report(self) -> ReceiverReport:
        said = report(
            self.number,
            symbols_expected=int(self.expected),
            symbols_lost=int(self.lost),
            buffer_fill_ratio=self.fill,
            bytes_received=int(self.received),
            backlog_bytes=int(self.backlog),
            buffer_drops=int(self.drops),
        )
        self.fill = self.backlog / BUFFER
        return said


class Room:
    """Seats that report twice a second, each at its own moment."""

    def __init__(
        self, *, ceiling: int = CEILING, start: int | None = None, seat_count: int = 8, uses: float = float("inf")
    ) -> None:
        self.rng = random.Random(seat_count)
        self.control = RateControl(ceiling, 0.0, start_bits_per_second=start)
        self.seats = [Seat(number, REPORT_INTERVAL * number / seat_count) for number in range(seat_count)]
        self.now = 0.0
        self.sent = 0.0
        self.uses = uses
        """bits per second that the sender can send"""

    @property
    def rate(self) -> int:
        return self.control.rate_bits_per_second

    def lose(self, loss: Callable[[float, float], float]) -> "Room":
        for seat in self.seats:
            seat.loss = loss
        return self

    def run(self, seconds: float) -> list[int]:
        """The rate of each tick."""
        rates = []
        for _ in range(round(seconds / TICK)):
            rate = min(self.rate, self.uses)
            self.sent += rate * TICK / 8
            self.now += TICK
            for seat in self.seats:
                seat.tick(self.now, rate, self.rng)
            for seat in self.seats:
                if self.now >= seat.reports_at:
                    seat.reports_at += REPORT_INTERVAL
                    self.control.seat_reported(seat.report(), self.now)
                    self.control.update(int(self.sent), self.now)
                    assert self.control.ceiling_bits_per_second * FLOOR_RATIO - 1 <= self.rate
                    assert self.rate <= self.control.ceiling_bits_per_second
                    assert self.control.reason
            rates.append(self.rate)
        return rates


def random_loss(ratio: float) -> Callable[[float, float], float]:
    return lambda now, rate: ratio


def trunk(capacity: float, innate: float = 0.0) -> Callable[[float, float], float]:
    return lambda now, rate: 1 - min(1.0, capacity / rate) * (1 - innate)


def mean(rates: list[int]) -> float:
    return sum(rates) / len(rates)


def test_a_given_rate_is_used_from_the_first_datagram() -> None:
    control = RateControl(CEILING, 0.0)
    assert (control.rate_bits_per_second, control.reason) == (CEILING, "at the set rate")
    assert RateControl(CEILING, 0.0, start_bits_per_second=2 * CEILING).rate_bits_per_second == CEILING


def test_the_rate_rises_fast_to_the_ceiling_while_nothing_is_wrong() -> None:
    room = Room(start=START)
    assert room.control.reason.startswith("rising")
    room.run(8.0)
    assert room.rate == CEILING
    assert room.control.reason == "at the set rate"


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("ceiling", [200_000_000, CEILING])
def test_random_loss_costs_next_to_nothing(ceiling: int, ratio: float) -> None:
    room = Room(ceiling=ceiling).lose(random_loss(ratio))
    rates = room.run(10.0)
    assert mean(rates) > 0.98 * ceiling
    assert min(rates) >= int(TRIAL_FACTOR * ceiling)
    if ratio > 0.05:
        assert room.control.reason.startswith("kept: the median seat loses")
        assert room.control.reason.endswith("at lower rates too")
    assert mean(room.run(60.0)) > 0.98 * ceiling


@pytest.mark.parametrize("innate", [0.0, 0.02, 0.15, 0.3])
@pytest.mark.parametrize("capacity", [0.08, 0.1, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("start", [None, START])
def test_the_rate_finds_what_the_room_can_take(start: int | None, capacity: float, innate: float) -> None:
    # What a switch port of less than the rate does: it lets through what it can and drops the rest.
    room = Room(start=start).lose(trunk(capacity * CEILING, innate))
    room.run(20.0)
    rates = room.run(40.0)
    assert 0.85 < mean(rates) / (capacity * CEILING) < 1.12
    assert max(rates) < 1.6 * capacity * CEILING


@pytest.mark.parametrize("capacity", [0.3, 0.6, 0.8])
def test_a_trunk_that_congests_is_answered_within_a_second_and_followed_up(capacity: float) -> None:
    room = Room()
    room.run(5.0)
    room.lose(trunk(capacity * CEILING))
    room.run(1.0)
    assert room.rate < CEILING
    assert room.control.reason.startswith("lowered: the median seat loses")
    room.run(4.0)
    assert room.rate < 1.1 * capacity * CEILING
    room.lose(random_loss(0.0))
    room.run(20.0)
    assert room.rate >= 0.9 * CEILING


def test_slow_decoders_are_answered_within_a_second_of_half_full_buffers() -> None:
    room = Room()
    for seat in room.seats:
        seat.takes = 0.4 * CEILING
    while room.seats[0].fill < 0.5:
        room.run(TICK)
    room.run(1.0)
    assert room.rate < 0.5 * CEILING
    assert "cannot keep up" in room.control.reason
    rates = room.run(40.0)
    assert 0.8 < mean(rates[400:]) / (0.4 * CEILING) < 1.1
    for seat in room.seats:
        seat.takes = float("inf")
    room.run(20.0)
    assert room.rate >= 0.9 * CEILING


def test_receive_buffers_that_overflow_lower_the_rate() -> None:
    control = RateControl(CEILING, 0.0)
    for half_second in range(3):
        said = report(
            1,
            symbols_expected=half_second * 10_000,
            symbols_lost=half_second * 400,
            bytes_received=half_second * 10_000 * SYMBOL,
            buffer_drops=half_second * 400,
        )
        control.seat_reported(said, half_second / 2)
        control.update(half_second * CEILING // 16, half_second / 2)
    assert control.rate_bits_per_second < CEILING
    assert control.reason == "lowered: the median seat's receive buffer drops 3.8%, it cannot keep up"


def test_blocks_that_find_no_room_lower_the_rate_though_they_are_not_lost() -> None:
    control = RateControl(CEILING, 0.0)
    for half_second in range(3):
        said = report(
            1,
            symbols_expected=half_second * 100,
            bytes_received=half_second * CEILING // 16,
            blocks_without_room=half_second * 100,
        )
        control.seat_reported(said, half_second / 2)
        control.update(half_second * CEILING // 16, half_second / 2)
    assert control.rate_bits_per_second < CEILING
    assert "cannot keep up" in control.reason


@pytest.mark.parametrize("bad_seats", [1, 3])
def test_a_few_bad_seats_do_not_slow_the_room(bad_seats: int) -> None:
    room = Room()
    for number, seat in enumerate(room.seats[:bad_seats]):
        seat.loss = trunk(0.1 * CEILING) if number % 2 else random_loss(0.6)
        seat.takes = 0.1 * CEILING
    assert set(room.run(30.0)) == {CEILING}


def test_most_seats_slow_the_room() -> None:
    room = Room()
    for seat in room.seats[:5]:
        seat.loss = trunk(0.5 * CEILING)
    room.run(8.0)
    assert room.rate < 0.7 * CEILING


def test_bursts_of_loss_cost_little() -> None:
    room = Room().lose(lambda now, rate: 0.4 if now % 3.0 < 0.3 else 0.0)
    assert mean(room.run(60.0)) > 0.93 * CEILING


def test_innate_loss_that_becomes_congestion_is_found() -> None:
    room = Room().lose(random_loss(0.3))
    room.run(5.0)
    assert room.rate == CEILING
    room.lose(trunk(0.72 * CEILING))  # loses nearly as much
    room.run(40.0)
    assert room.rate < 0.85 * CEILING


def test_innate_loss_is_forgotten_when_less_is_lost() -> None:
    room = Room().lose(random_loss(0.3))
    room.run(3.0)
    room.lose(random_loss(0.0))
    room.run(8.0)  # sooner than innate loss is tried again
    room.lose(trunk(0.8 * CEILING))
    room.run(5.0)
    assert room.rate < 0.9 * CEILING


@pytest.mark.parametrize("capacity", [0.5, 2.0])
def test_a_rise_that_was_too_much_is_taken_back_to_what_arrived(capacity: float) -> None:
    room = Room(ceiling=9 * CEILING, start=9 * CEILING // 10).lose(trunk(capacity * CEILING))
    rates = room.run(60.0)
    # What was sent beyond what got through, and had to be sent again.
    assert sum(max(0.0, rate - capacity * CEILING) for rate in rates) / sum(rates) < 0.08
    assert mean(rates[800:]) > 0.85 * capacity * CEILING


def test_a_rate_that_the_sender_does_not_use_is_not_raised() -> None:
    room = Room(start=START, uses=START / 2)
    room.run(10.0)
    assert room.rate == START


def test_a_sender_that_does_not_use_its_rate_is_lowered_below_what_it_does_use() -> None:
    room = Room(uses=CEILING / 2).lose(trunk(CEILING / 4))
    room.run(10.0)
    assert room.rate < 0.35 * CEILING


def test_the_rate_never_falls_below_the_floor() -> None:
    room = Room().lose(trunk(0.01 * CEILING))
    room.run(60.0)
    assert room.rate == pytest.approx(CEILING * FLOOR_RATIO, rel=RISE_FACTORS[-1] - 1)


class Seats:
    """Three seats whose totals are told by hand."""

    def __init__(self) -> None:
        self.control = RateControl(CEILING, 0.0)
        self.totals = {number: [0, 0] for number in range(3)}
        self.say(0.0, [0.0, 0.0, 0.0], expected=0)
        for sent_at in (0.0, 0.5):  # by the second report it is known how much of the rate is used
            self.rate_at(sent_at)

    def say(self, now: float, losses: list[float], *, expected: int = 1000) -> None:
        for number, loss in enumerate(losses):
            self.totals[number][0] += expected
            self.totals[number][1] += round(expected * loss)
            grown, lost = self.totals[number]
            self.control.seat_reported(report(number, symbols_expected=grown, symbols_lost=lost), now)

    def rate_at(self, now: float) -> int:
        self.control.update(int(CEILING / 8 * now), now)
        return self.control.rate_bits_per_second


def test_a_little_loss_is_left_to_repair() -> None:
    seats = Seats()
    seats.say(1.0, [STEP_DOWN_LOSS_RATIO] * 3)
    assert seats.rate_at(1.0) == CEILING
    seats.say(2.0, [STEP_DOWN_LOSS_RATIO + 0.01] * 3)
    assert seats.rate_at(2.0) == int(CEILING * TRIAL_FACTOR)


def test_too_few_symbols_say_nothing_until_there_are_more() -> None:
    seats = Seats()
    seats.say(1.0, [1.0] * 3, expected=MIN_SAMPLE_SYMBOLS - 1)
    assert seats.rate_at(1.0) == CEILING
    seats.say(1.5, [1.0] * 3, expected=1)
    assert seats.rate_at(1.5) < CEILING


def test_who_is_gone_or_done_decides_nothing() -> None:
    seats = Seats()
    seats.say(1.0, [0.9, 0.9, 0.0])
    seats.control.forget(receiver_id(0))
    seats.control.forget(receiver_id(1))
    seats.control.forget("never heard of")
    assert seats.rate_at(5.0) == CEILING


def test_a_restarted_seat_is_measured_from_its_new_totals() -> None:
    control = RateControl(CEILING, 0.0)
    for now, (expected, lost) in enumerate([(10_000, 0), (500, 400), (1500, 400)]):
        control.seat_reported(report(1, symbols_expected=expected, symbols_lost=lost), float(now))
        control.update(now * CEILING // 8, float(now))
    assert control.rate_bits_per_second == CEILING


COUNTS = st.integers(0, 1 << 62)


@given(
    said=st.lists(
        st.tuples(st.integers(0, 3), st.floats(0.0, 5.0), st.floats(0.0, 1.0), COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
    )
)
@settings(max_examples=50)
def test_totals_that_lie_bring_nothing_out_of_bounds(
    said: list[tuple[int, float, float, int, int, int, int, int]],
) -> None:
    control, now = RateControl(CEILING, 0.0), 0.0
    for seat, pause, fill, expected, lost, received, backlog, drops in said:
        now += pause
        control.seat_reported(
            report(
                seat,
                symbols_expected=expected,
                symbols_lost=lost,
                buffer_fill_ratio=fill,
                bytes_received=received,
                backlog_bytes=backlog,
                buffer_drops=drops,
                blocks_without_room=lost,
            ),
            now,
        )
        control.update(received, now)
        assert CEILING * FLOOR_RATIO <= control.rate_bits_per_second <= CEILING
        assert 0 < len(control.reason) < 400


@given(
    troubles=st.lists(
        st.tuples(
            st.floats(0.5, 5.0), st.floats(0.0, 0.9), st.floats(0.02, 2.0), st.sampled_from([0.05, 0.3, float("inf")])
        ),
        max_size=4,
    )
)
@pytest.mark.slow
def test_after_any_trouble_the_rate_is_back_within_half_a_minute(
    troubles: list[tuple[float, float, float, float]],
) -> None:
    room = Room(seat_count=2)
    for seconds, innate, capacity, takes in troubles:
        room.lose(trunk(capacity * CEILING, innate))
        for seat in room.seats:
            seat.takes = takes * CEILING
        room.run(seconds)
    room.lose(trunk(0.8 * CEILING))
    for seat in room.seats:
        seat.takes = float("inf")
    room.run(30.0)
    assert mean(room.run(10.0)) >= 0.9 * 0.8 * CEILING

import pytest

from broadcaster.rate import (
    FLOOR_RATIO,
    MIN_SAMPLE_SYMBOLS,
    PROBE_FACTOR,
    PROBE_INTERVAL,
    STEP_DOWN_BUFFER_FILL,
    STEP_DOWN_INTERVAL,
    STEP_DOWN_LOSS_RATIO,
    STEP_UP_BUFFER_FILL,
    STEP_UP_FACTOR,
    STEP_UP_INTERVAL,
    RateControl,
)
from protocol.messages import ReceiverReport
from tests.sample_messages import receiver_id, report

CEILING = 1_000_000_000
START = 100_000_000


def seat_report(seat: int, expected: int, lost: int, fill: float = 0.0, taken: int = 0) -> ReceiverReport:
    return report(
        seat,
        symbols_expected=expected,
        symbols_lost=lost,
        buffer_fill_ratio=fill,
        bytes_received=taken,
        backlog_bytes=0,
    )


class Room:
    """Seats that report the growth of their totals."""

    def __init__(self, start: int | None = None, seat_count: int = 3) -> None:
        self.rate = RateControl(CEILING, 0.0, start_bits_per_second=start)
        self.seat_count = seat_count
        self.now = 0.0
        self.sent = 0
        self._totals = {seat: [0, 0] for seat in range(seat_count)}

    def report(self, seat: int, lost_ratio: float, fill: float = 0.0, expected: int = 1000) -> None:
        totals = self._totals.setdefault(seat, [0, 0])
        totals[0] += expected
        totals[1] += round(expected * lost_ratio)
        self.rate.seat_reported(seat_report(seat, totals[0], totals[1], fill), self.now)

    def all_report(self, now: float, lost_ratio: float, fill: float = 0.0) -> int:
        for seat in range(self.seat_count):
            self.report(seat, lost_ratio, fill)
        self.update(now)
        return self.rate.rate_bits_per_second

    def update(self, now: float) -> None:
        """The sender uses all of the rate."""
        self.sent += int(self.rate.rate_bits_per_second / 8 * (now - self.now))
        self.now = now
        self.rate.update(self.sent, now)


def test_a_given_rate_is_used_from_the_first_datagram() -> None:
    rate = RateControl(CEILING, 0.0)
    assert (rate.rate_bits_per_second, rate.reason) == (CEILING, "at the set rate")
    assert RateControl(CEILING, 0.0, start_bits_per_second=2 * CEILING).rate_bits_per_second == CEILING


def test_the_rate_rises_fast_to_the_ceiling_while_nothing_is_wrong() -> None:
    room = Room(START)
    assert room.rate.reason.startswith("rising")
    assert room.all_report(PROBE_INTERVAL - 0.1, 0.0) == START
    assert room.all_report(PROBE_INTERVAL, 0.0) == START * PROBE_FACTOR
    now = PROBE_INTERVAL
    while room.rate.rate_bits_per_second < CEILING and now < 10.0:
        now += PROBE_INTERVAL
        room.all_report(now, 0.0)
    assert room.rate.rate_bits_per_second == CEILING
    assert now <= 4.0
    assert room.rate.reason == "at the set rate"
    assert room.all_report(now + 5.0, 0.0) == CEILING


@pytest.mark.parametrize("loss", [0.2, 0.4])
def test_the_first_trouble_ends_the_rise_at_once(loss: float) -> None:
    room = Room(START)
    risen = room.all_report(PROBE_INTERVAL, 0.0)
    lowered = room.all_report(PROBE_INTERVAL + 0.1, loss)
    assert lowered == pytest.approx(risen * (1 - loss) * 0.95)
    assert room.rate.reason == f"lowered: the median seat loses {loss:.1%}"
    assert room.all_report(PROBE_INTERVAL + 0.2, loss) == lowered
    assert room.all_report(PROBE_INTERVAL + 0.1 + STEP_DOWN_INTERVAL, loss / 2) < lowered


def test_loss_that_a_lower_rate_does_not_cure_takes_the_step_back() -> None:
    room = Room()
    assert room.all_report(1.0, 0.2) < CEILING
    assert room.all_report(1.5, 0.2) < CEILING
    assert room.all_report(2.0, 0.2) == CEILING
    assert room.rate.reason == "kept: the median seat loses 20.0% at lower rates too"
    assert room.all_report(4.0, 0.23) == CEILING
    assert room.all_report(5.0, 0.25) < CEILING


@pytest.mark.parametrize("innate_loss", [0.0, 0.02, 0.15, 0.4])
@pytest.mark.parametrize("capacity_ratio", [0.08, 0.1, 0.11, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("start", [None, START])
def test_the_rate_finds_what_the_room_can_take(start: int | None, capacity_ratio: float, innate_loss: float) -> None:
    # What a switch port of less than the rate does: it lets through what it can and drops the rest.
    room, rates = Room(start), []
    for half_second in range(1, 241):
        rate = room.rate.rate_bits_per_second
        arrived = min(1.0, CEILING * capacity_ratio / rate) * (1 - innate_loss)
        rates.append(room.all_report(half_second / 2, 1 - arrived))
    assert all(0.65 < rate / (CEILING * capacity_ratio) < 1.3 for rate in rates[120:])


def test_after_trouble_the_rate_rises_slowly() -> None:
    room = Room()
    lowered = room.all_report(1.0, 0.5)
    assert room.all_report(1.0 + STEP_UP_INTERVAL - 0.1, 0.0) == lowered
    assert room.all_report(1.0 + STEP_UP_INTERVAL, 0.0) == pytest.approx(lowered * STEP_UP_FACTOR, abs=1)


@pytest.mark.parametrize(("loss", "factor"), [(0.06, 0.8), (0.5, 0.475), (0.99, 0.3)])
def test_one_step_down_is_bounded(loss: float, factor: float) -> None:
    room = Room()
    assert room.all_report(1.0, loss) == pytest.approx(CEILING * factor, abs=1)


def test_a_little_loss_is_left_to_repair() -> None:
    room = Room()
    assert room.all_report(5.0, STEP_DOWN_LOSS_RATIO) == CEILING


def test_a_full_receive_buffer_lowers_the_rate_before_anything_is_lost() -> None:
    room = Room()
    assert room.all_report(1.0, 0.0, fill=STEP_DOWN_BUFFER_FILL) == CEILING
    assert room.all_report(1.0, 0.0, fill=0.8) < CEILING
    assert room.rate.reason == "lowered: the median seat's buffers are 80% full, it cannot keep up"


def test_loss_that_comes_after_full_buffers_is_no_reason_to_send_faster() -> None:
    room = Room()
    lowered = room.all_report(1.0, 0.0, fill=0.9)
    assert room.all_report(2.5, 0.2, fill=0.9) < lowered < CEILING


def test_a_half_full_receive_buffer_neither_lowers_nor_raises() -> None:
    room = Room()
    lowered = room.all_report(1.0, 0.5)
    fill = (STEP_UP_BUFFER_FILL + STEP_DOWN_BUFFER_FILL) / 2
    assert room.all_report(20.0, 0.0, fill=fill) == lowered


def test_one_bad_seat_does_not_slow_the_room_and_most_seats_do() -> None:
    room = Room()
    for seat, loss in enumerate([0.9, 0.0, 0.0]):
        room.report(seat, loss)
    room.update(1.0)
    assert room.rate.rate_bits_per_second == CEILING
    for seat, loss in enumerate([0.9, 0.9, 0.0]):
        room.report(seat, loss)
    room.update(2.0)
    assert room.rate.rate_bits_per_second < CEILING


def test_a_few_early_reports_do_not_decide_for_the_room() -> None:
    room = Room(seat_count=5)
    room.all_report(0.5, 0.0)
    room.rate.rate_bits_per_second = CEILING // 2
    room.all_report(10.0, 0.0)
    rate = room.rate.rate_bits_per_second
    for seat in range(2):
        room.report(seat, 0.9)
    room.update(20.0)
    assert room.rate.rate_bits_per_second == rate
    room.report(2, 0.9)
    room.update(20.0)
    assert room.rate.rate_bits_per_second < rate


def test_too_few_symbols_say_nothing_until_there_are_more() -> None:
    room = Room(seat_count=1)
    room.report(0, 1.0, expected=MIN_SAMPLE_SYMBOLS - 1)
    room.update(5.0)
    assert room.rate.rate_bits_per_second == CEILING
    room.report(0, 1.0, expected=1)
    room.update(5.0)
    assert room.rate.rate_bits_per_second < CEILING


def test_the_rate_never_falls_below_the_floor() -> None:
    room = Room()
    for half_second in range(200):
        room.all_report(half_second / 2, 1 - 0.01 * CEILING / room.rate.rate_bits_per_second)
    assert room.rate.rate_bits_per_second == CEILING * FLOOR_RATIO


def test_who_is_gone_or_done_decides_nothing() -> None:
    room = Room(seat_count=3)
    for seat, loss in enumerate([0.9, 0.9, 0.0]):
        room.report(seat, loss)
    room.rate.forget(receiver_id(0))
    room.rate.forget(receiver_id(1))
    room.rate.forget("never heard of")
    room.update(5.0)
    assert room.rate.rate_bits_per_second == CEILING


def test_totals_that_lie_bring_nothing_out_of_bounds() -> None:
    rate = RateControl(CEILING, 0.0)
    for now, (expected, lost) in enumerate([(1 << 62, 1 << 62), (0, 1 << 62), (500, 0), (1000, 1 << 62), (0, 0)]):
        rate.seat_reported(seat_report(1, expected, lost, 1.0), now * 10.0)
        rate.update(0, now * 10.0)
        assert CEILING * FLOOR_RATIO <= rate.rate_bits_per_second <= CEILING
        assert len(rate.reason) < 400


def test_a_restarted_seat_is_measured_from_its_new_totals() -> None:
    rate = RateControl(CEILING, 0.0)
    rate.seat_reported(seat_report(1, 10_000, 0), 0.0)
    rate.seat_reported(seat_report(1, 500, 400), 1.0)
    rate.seat_reported(seat_report(1, 1500, 400), 2.0)
    rate.update(0, 5.0)
    assert rate.rate_bits_per_second == CEILING


def test_a_seat_that_cannot_keep_up_sets_the_rate_to_what_it_takes() -> None:
    rate = RateControl(CEILING, 0.0)
    rate.seat_reported(seat_report(1, 1000, 0, fill=0.1), 1.0)
    rate.update(0, 1.0)
    taken_at_half_rate = CEILING // 2 // 8
    rate.seat_reported(seat_report(1, 2000, 0, fill=0.9, taken=taken_at_half_rate), 2.0)
    rate.update(CEILING // 8, 2.0)
    assert rate.rate_bits_per_second == pytest.approx(CEILING * 0.5 * 0.95)


def test_a_rate_that_the_sender_does_not_use_is_not_raised() -> None:
    rate = RateControl(CEILING, 0.0, start_bits_per_second=START)
    rate.seat_reported(seat_report(1, 1000, 0), 1.0)
    rate.update(START // 8 // 2, 1.0)
    assert rate.rate_bits_per_second == START
    rate.seat_reported(seat_report(1, 2000, 0), 2.0)
    rate.update(START // 8 * 2, 2.0)
    assert rate.rate_bits_per_second == START * PROBE_FACTOR

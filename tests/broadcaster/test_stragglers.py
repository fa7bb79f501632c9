import random

import pytest

from broadcaster.stragglers import (
    BACKLOG_FILL,
    BAD_WINDOWS,
    FLOODED_LOSS,
    GOOD_WINDOWS,
    LOSS_EXCESS,
    NO_DATA,
    Straggler,
    StragglerWatch,
    is_judged,
)
from protocol.messages import ReceiverState
from tests.broadcaster.scripted_room import REPORT_INTERVAL, ScriptedRoom, ScriptedSeat, good_seats
from tests.sample_messages import receiver_id, report

WINDOW = 3 * REPORT_INTERVAL
"""[s] of reports that are on time"""


class Watched(ScriptedRoom):
    """A room whose reports are judged as they come."""

    def __init__(self, *seats: ScriptedSeat, bits_per_second: float = 900e6) -> None:
        super().__init__(*seats, bits_per_second=bits_per_second)
        self.watch = StragglerWatch()
        self.began_at = self.now
        self.tell(0.0)

    def tell(self, seconds: float = REPORT_INTERVAL) -> None:
        for each in self.step(seconds):
            self.watch.seat_reported(each, datagrams_sent=self.datagrams_sent, bytes_sent=self.bytes_sent, now=self.now)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / REPORT_INTERVAL)):
            self.tell()

    def found(self, number: int) -> Straggler | None:
        return self.watch.straggler(receiver_id(number))

    def stragglers(self) -> list[int]:
        return [number for number in self.seats if self.found(number) is not None]

    def seconds_until_found(self, number: int, limit: float = 20.0) -> float:
        began_at = self.now
        while self.found(number) is None:
            assert self.now - began_at < limit, f"seat {number} is not found"
            self.tell()
        return self.now - began_at


# --- loss ----------------------------------------------------------------------------------------------------------


def test_a_flooded_seat_is_found_within_one_window_and_must_leave_the_group() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    assert room.seconds_until_found(4) == WINDOW
    assert room.found(4) == Straggler("loss 75%: it receives 225 of 900 Mbit/s", must_leave_group=True, is_lossy=True)
    assert room.stragglers() == [4]


def test_a_seat_that_loses_a_little_too_much_is_found_within_two_windows() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.07))
    assert room.seconds_until_found(4) == BAD_WINDOWS * WINDOW
    assert room.found(4) == Straggler("loss 7%, the others 0.0%", is_lossy=True)


@pytest.mark.parametrize("loss_ratio", [0.07, 0.75])
@pytest.mark.parametrize("number", [1, 5], ids=["first to report", "last to report"])
@pytest.mark.parametrize("begins_after", [0.0, 0.5, 1.0, 1.5, 2.5])
def test_whenever_it_begins_it_is_found_within_5_seconds(loss_ratio: float, number: int, begins_after: float) -> None:
    room = Watched(*good_seats(1, 2, 3, 4, 5))
    room.run(begins_after)
    room.seats[number].loss_ratio = loss_ratio
    assert room.seconds_until_found(number) <= 5.0


@pytest.mark.parametrize("seed", range(20))
def test_reports_that_come_a_little_early_or_late_cost_no_more(seed: int) -> None:
    rng = random.Random(seed)
    room = Watched(*good_seats(1, 2, 3, 4))
    for _ in range(rng.randrange(8)):
        room.tell(0.5 + rng.uniform(-0.02, 0.02))
    room.seats[2].loss_ratio, began_at = 0.07, room.now
    while room.found(2) is None:
        room.tell(0.5 + rng.uniform(-0.02, 0.02))
    assert room.now - began_at <= 5.0, f"seed {seed}"


def test_loss_that_the_others_have_as_well_is_not_the_seats() -> None:
    room = Watched(*(ScriptedSeat(number, loss_ratio=0.3) for number in (1, 2, 3, 4)))
    room.seats[4].loss_ratio = 0.3 + LOSS_EXCESS * 0.9
    room.run(30.0)
    assert room.stragglers() == []


def test_what_it_is_worse_than_is_the_median_not_the_best() -> None:
    losses = {1: 0.0, 2: 0.06, 3: 0.06, 4: 0.10}
    room = Watched(*(ScriptedSeat(number, loss_ratio=loss_ratio) for number, loss_ratio in losses.items()))
    room.run(30.0)
    assert room.stragglers() == []
    room.seats[4].loss_ratio = 0.2
    room.run(10.0)
    assert room.stragglers() == [4]
    assert room.found(4) == Straggler("loss 20%, the others 6.0%", is_lossy=True)


def test_one_bad_window_is_forgiven() -> None:
    room = Watched(*good_seats(1, 2, 3))
    for _ in range(5):
        room.seats[3].loss_ratio = 0.2
        room.run(WINDOW)
        room.seats[3].loss_ratio = 0.0
        room.run(WINDOW)
    assert room.stragglers() == []


def test_a_handful_of_symbols_says_nothing() -> None:
    room = Watched(*good_seats(1, 2), ScriptedSeat(3, loss_ratio=0.6), bits_per_second=1e6)
    room.run(20.0)
    assert room.stragglers() == []


def test_a_link_that_is_too_slow_is_named() -> None:
    room = Watched(
        *good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.88, changes={"link_bits_per_second": 100_000_000})
    )
    room.run(WINDOW)
    assert room.found(4) == Straggler("link 100 Mb/s", must_leave_group=True, is_lossy=True)


def test_a_link_that_is_fast_enough_is_not_blamed() -> None:
    link = {"link_bits_per_second": 1_000_000_000}
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=FLOODED_LOSS - 0.1, changes=link))
    room.run(2 * WINDOW)
    assert room.found(4) == Straggler("loss 20%, the others 0.0%", is_lossy=True)


# --- backlog -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("busy_ratio", "reason"), [(0.9, "disk 12 MB/s"), (0.1, "CPU: it keeps up with 12 MB/s only")])
def test_a_seat_whose_memory_fills_is_named_with_what_keeps_it(busy_ratio: float, reason: str) -> None:
    changes = {"buffer_fill_ratio": BACKLOG_FILL, "disk_busy_ratio": busy_ratio}
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, changes=changes, grows={"bytes_written": 12e6}))
    assert room.seconds_until_found(4) == BAD_WINDOWS * WINDOW
    assert room.found(4) == Straggler(reason)
    assert room.stragglers() == [4]


def test_blocks_without_room_are_a_backlog_however_full_the_memory_looks() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, grows={"blocks_without_room": 10.0}))
    room.run(2 * WINDOW)
    assert room.found(4) == Straggler("CPU: it keeps up with 0 MB/s only")


def test_the_busiest_moment_of_a_disk_counts() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, changes={"buffer_fill_ratio": 1.0}))
    for number in range(6):
        room.seats[4].changes["disk_busy_ratio"] = 0.9 if number % 3 == 0 else 0.0
        room.tell()
    straggler = room.found(4)
    assert straggler is not None
    assert straggler.reason.startswith("disk ")


def test_a_memory_that_is_full_now_and_then_keeps_up() -> None:
    room = Watched(*good_seats(1, 2, 3, 4))
    for number in range(60):
        room.seats[4].changes["buffer_fill_ratio"] = 1.0 if number % 3 == 0 else 0.1
        room.tell()
    assert room.stragglers() == []


def test_a_backlog_of_half_the_room_is_the_rates_business() -> None:
    room = Watched(*good_seats(1, 2, 3, 4, 5))
    for number in (1, 2, 3):
        room.seats[number].changes["buffer_fill_ratio"] = 0.95
    room.run(30.0)
    assert room.stragglers() == []


# --- nothing arrives -----------------------------------------------------------------------------------------------


def test_a_black_hole_is_found_within_two_windows_and_named() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, is_dark=True))
    assert room.seconds_until_found(4) <= 5.0
    assert room.found(4) == Straggler(NO_DATA)


def test_multicast_that_is_switched_off_in_the_middle_is_found() -> None:
    room = Watched(*good_seats(1, 2, 3, 4))
    room.run(10.25)
    room.seats[4].is_dark = True
    assert room.seconds_until_found(4) <= 5.0


def test_where_nothing_is_sent_nothing_can_arrive() -> None:
    room = Watched(*good_seats(1, 2, 3), bits_per_second=0.0)
    room.run(30.0)
    assert room.stragglers() == []


def test_a_seat_alone_in_the_dark_is_found_too() -> None:
    room = Watched(ScriptedSeat(1, is_dark=True))
    room.run(5.0)
    assert room.found(1) == Straggler(NO_DATA)


def test_when_the_light_comes_back_it_never_was_slow_however_often() -> None:
    room = Watched(*good_seats(1, 2, 3))
    for _ in range(4):
        room.seats[3].is_dark = True
        room.run(5.0)
        assert room.stragglers() == [3]
        room.seats[3].is_dark = False
        room.run(2 * WINDOW)
        assert room.stragglers() == []


# --- alone, and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"buffer_fill_ratio": 1.0, "disk_busy_ratio": 1.0}], ids=["loss", "loss and backlog"]
)
def test_a_seat_alone_is_the_room(changes: dict[str, float]) -> None:
    room = Watched(ScriptedSeat(1, loss_ratio=0.75, changes=changes))
    room.run(30.0)
    assert room.stragglers() == []


def test_who_keeps_up_again_for_two_windows_is_back() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.1))
    room.run(5.0)
    assert room.stragglers() == [4]
    room.seats[4].loss_ratio, began_at = 0.0, room.now
    while room.stragglers():
        room.tell()
    # The window in which it recovered may count already: little of it was bad.
    assert (GOOD_WINDOWS - 1) * WINDOW < room.now - began_at <= (GOOD_WINDOWS + 1) * WINDOW


def test_who_stumbles_again_stays_what_it_is() -> None:
    room = Watched(*good_seats(1, 2, 3))
    for _ in range(2):
        room.seats[3].loss_ratio = 0.1
        room.run(10.0)
        assert room.stragglers() == [3]
        room.seats[3].loss_ratio = 0.0
        room.run(10.0)
    assert room.stragglers() == [3]


def test_a_pause_of_the_group_proves_nothing() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.1))
    room.run(5.0)
    room.datagrams_per_second = 0.0
    room.run(30.0)
    assert room.stragglers() == [4]


def test_a_seat_that_left_the_group_cannot_prove_itself() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    room.run(5.0)
    room.seats[4].loss_ratio = 0.0
    room.run(60.0)
    straggler = room.found(4)
    assert straggler is not None
    assert straggler.must_leave_group


def test_a_straggler_is_readmitted_once() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    assert not room.watch.readmit(receiver_id(4))
    room.run(5.0)
    assert not room.watch.readmit(receiver_id(1))
    assert not room.watch.readmit(receiver_id(99))
    assert room.watch.readmit(receiver_id(4))
    assert room.stragglers() == []
    room.run(10.0)
    assert room.stragglers() == [4]
    assert not room.watch.readmit(receiver_id(4))


def test_who_is_forgotten_is_not_compared_with() -> None:
    room = Watched(ScriptedSeat(1), ScriptedSeat(2, loss_ratio=0.2))
    room.run(WINDOW)
    del room.seats[1]
    room.watch.forget(receiver_id(1))
    room.watch.forget(receiver_id(99))
    room.run(20.0)
    assert room.stragglers() == []
    assert room.found(1) is None


# --- what the room loses -------------------------------------------------------------------------------------------


def test_the_loss_to_mend_is_the_second_worst() -> None:
    room = Watched(*(ScriptedSeat(number, loss_ratio=number / 100) for number in (1, 2, 3, 4)))
    assert room.watch.loss_to_mend() is None
    room.run(WINDOW)
    assert room.watch.loss_to_mend() == pytest.approx(0.03, abs=0.001)


def test_a_seat_alone_has_its_own_loss_mended() -> None:
    room = Watched(ScriptedSeat(1, loss_ratio=0.3))
    room.run(WINDOW)
    assert room.watch.loss_to_mend() == pytest.approx(0.3, abs=0.001)


def test_stragglers_are_mended_elsewhere() -> None:
    room = Watched(
        *(ScriptedSeat(number, loss_ratio=loss) for number, loss in ((1, 0.01), (2, 0.02), (3, 0.2), (4, 0.2)))
    )
    room.seats[5] = ScriptedSeat(5, loss_ratio=0.02)
    room.seats[6] = ScriptedSeat(6, loss_ratio=0.02)
    room.run(10.0)
    assert room.stragglers() == [3, 4]
    assert room.watch.loss_to_mend() == pytest.approx(0.02, abs=0.001)


def test_the_memory_in_repair_is_the_second_worst_of_the_group() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    assert room.watch.memory_in_repair() == 0.0
    for number in room.seats:
        room.seats[number].changes["partial_fill_ratio"] = number / 10
    room.tell()
    assert room.watch.memory_in_repair() == 0.3
    room.run(5.0)
    assert room.stragglers() == [4]
    assert room.watch.memory_in_repair() == 0.2


def test_of_nobody_no_memory_is_in_repair() -> None:
    assert StragglerWatch().memory_in_repair() == 0.0


@pytest.mark.parametrize(
    ("state", "judged"),
    [(state, state in (ReceiverState.READY, ReceiverState.RECEIVING)) for state in ReceiverState],
)
def test_only_seats_that_want_something_are_judged(state: ReceiverState, judged: bool) -> None:
    assert is_judged(report(state=state)) == judged


def test_what_was_before_its_readmission_is_not_held_against_a_seat() -> None:
    room = Watched(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    room.run(20.0)
    room.seats[4].loss_ratio = 0.0
    assert room.watch.readmit(receiver_id(4))
    room.run(20.0)
    assert room.stragglers() == []

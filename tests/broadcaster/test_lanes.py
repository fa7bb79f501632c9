import pytest

from broadcaster.lanes import STUCK_SPAN, Lanes
from broadcaster.rate import RateControl
from broadcaster.roster import LEASE, Roster
from broadcaster.stragglers import NO_DATA
from protocol.messages import ReceiverState
from tests.broadcaster.scripted_room import ScriptedRoom, ScriptedSeat, good_seats
from tests.sample_messages import receiver_id, report

RATE = 200_000_000


class Room(ScriptedRoom):
    """A room with a roster and lanes."""

    def __init__(self, *seats: ScriptedSeat, has_catch_up: bool = True) -> None:
        super().__init__(*seats)
        self.roster = Roster()
        self.lanes = Lanes(has_catch_up=has_catch_up)
        self.moves: list[int] = []

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            for each in self.step():
                seat = self.roster.hear_report(each, self.now, is_progress_due=False)
                assert seat is not None
                if self.lanes.judge(seat, datagrams_sent=self.datagrams_sent, bytes_sent=self.bytes_sent, now=self.now):
                    self.moves.append(int(each.receiver_id, 16))

    def slow_because(self, number: int) -> str:
        seat = self.roster.get(receiver_id(number))
        assert seat is not None
        return seat.slow_because


def test_a_straggler_moves_to_the_catch_up_lane_once_and_everybody_hears_why() -> None:
    room = Room(*good_seats(1, 2), ScriptedSeat(3, loss_ratio=0.75))
    room.run(10.0)
    assert room.moves == [3]
    assert room.slow_because(3) == "loss 75%: it receives 225 of 900 Mbit/s"
    assert (room.slow_because(1), room.slow_because(2)) == ("", "")
    assert room.roster.catch_up_ids() == room.roster.catch_up_ids(outside_group=True) == (receiver_id(3),)


def test_a_seat_that_is_not_flooded_stays_in_the_group() -> None:
    room = Room(*good_seats(1, 2), ScriptedSeat(3, is_dark=True))
    room.run(10.0)
    assert room.slow_because(3) == NO_DATA
    assert room.roster.catch_up_ids() == (receiver_id(3),)
    assert room.roster.catch_up_ids(outside_group=True) == ()


def test_without_a_catch_up_lane_everybody_stays_in_the_group() -> None:
    room = Room(*good_seats(1, 2), ScriptedSeat(3, loss_ratio=0.75), has_catch_up=False)
    room.run(20.0)
    assert (room.moves, room.slow_because(3), room.roster.catch_up_ids()) == ([], "", ())


def test_without_a_catch_up_lane_nobody_is_readmitted() -> None:
    room = Room(ScriptedSeat(1, is_dark=True), ScriptedSeat(2, is_dark=True), has_catch_up=False)
    room.run(10.0)
    assert not room.lanes.readmit(room.roster, RATE, room.now)


def test_a_seat_that_keeps_up_again_moves_back_and_its_reason_is_kept_for_the_report() -> None:
    room = Room(*good_seats(1, 2), ScriptedSeat(3, loss_ratio=0.1))
    room.run(5.0)
    room.seats[3].loss_ratio = 0.0
    room.run(10.0)
    assert room.moves == [3, 3]
    assert room.slow_because(3) == ""
    seat = room.roster.get(receiver_id(3))
    assert seat is not None
    assert seat.was_slow_because == "loss 10%, the others 0.0%"


def test_who_wants_nothing_more_is_on_no_lane() -> None:
    room = Room(*good_seats(1, 2), ScriptedSeat(3, loss_ratio=0.75))
    room.run(10.0)
    seat = room.roster.get(receiver_id(3))
    assert seat is not None
    room.lanes.leave(seat)
    assert (seat.is_on_catch_up, seat.must_leave_group, bool(seat.was_slow_because)) == (False, False, True)


class TestReadmission:
    """When only stragglers are left, they are the room."""

    @staticmethod
    def room(*numbers: int) -> Room:
        """Seats 1 to 3 keep up, 4 and 5 do not; then only ``numbers`` are not done yet."""
        room = Room(*good_seats(1, 2, 3), *(ScriptedSeat(number, loss_ratio=0.75) for number in (4, 5)))
        room.run(10.0)
        assert room.roster.catch_up_ids() == (receiver_id(4), receiver_id(5))
        for number in set(room.seats) - set(numbers):
            final = report(number, sequence=1000, state=ReceiverState.VERIFIED)
            assert room.roster.hear_report(final, room.now, is_progress_due=False)
        return room

    def test_several_are_served_by_one_more_pass(self) -> None:
        room = self.room(4, 5)
        assert room.lanes.readmit(room.roster, RATE, room.now)
        assert room.roster.catch_up_ids() == ()
        assert room.roster.catch_up_ids(outside_group=True) == ()
        assert not room.lanes.readmit(room.roster, RATE, room.now)

    def test_one_alone_is_served_best_where_it_is(self) -> None:
        room = self.room(4)
        assert not room.lanes.readmit(room.roster, RATE, room.now)

    @pytest.mark.parametrize(
        ("bits_per_second", "is_readmitted"), [(0, True), (RATE // 100, True), (RATE // 10, False)]
    )
    def test_one_alone_that_gets_nowhere_in_the_lane_is_served_by_the_group_again(
        self, bits_per_second: int, is_readmitted: bool
    ) -> None:
        room = self.room(4)
        began = room.now
        verdicts = []
        for sequence in range(2000, 2010):
            fetched = int(bits_per_second / 8 * (room.now - began))
            received = report(
                4, sequence=sequence, state=ReceiverState.RECEIVING, bytes_received=9, catch_up_bytes=fetched
            )
            assert room.roster.hear_report(received, room.now, is_progress_due=False)
            verdicts.append(room.lanes.readmit(room.roster, RATE, room.now))
            room.now += 0.5
        assert any(verdicts) == is_readmitted
        assert not any(verdicts[: int(STUCK_SPAN / 0.5)])

    def test_while_somebody_keeps_up_they_wait(self) -> None:
        room = self.room(1, 4, 5)
        assert not room.lanes.readmit(room.roster, RATE, room.now)

    @pytest.mark.parametrize("state", [ReceiverState.VERIFYING, ReceiverState.VERIFIED])
    def test_who_reads_back_wants_nothing(self, state: ReceiverState) -> None:
        room = self.room(1, 4, 5)
        assert room.roster.hear_report(report(1, sequence=2000, state=state), room.now, is_progress_due=False)
        assert room.lanes.readmit(room.roster, RATE, room.now)

    def test_who_is_gone_is_not_waited_for(self) -> None:
        room = self.room(1, 4, 5)
        for _ in range(2):
            room.now += LEASE * 0.6
            for number in (4, 5):
                assert room.roster.hear(receiver_id(number), room.now)
        assert room.lanes.readmit(room.roster, RATE, room.now)

    def test_nobody_is_readmitted_to_a_group_that_never_reached_it(self) -> None:
        room = Room(*good_seats(1, 2, 3), *(ScriptedSeat(number, is_dark=True) for number in (4, 5)))
        room.run(10.0)
        for number in (1, 2, 3):
            final = report(number, sequence=1000, state=ReceiverState.VERIFIED)
            assert room.roster.hear_report(final, room.now, is_progress_due=False)
        assert not room.lanes.readmit(room.roster, RATE, room.now)


def test_who_is_lost_decides_nothing_and_who_was_flooded_stays_out() -> None:
    room = Room(ScriptedSeat(1, loss_ratio=0.02), ScriptedSeat(2, loss_ratio=0.03), ScriptedSeat(3, loss_ratio=0.75))
    room.run(10.0)
    assert room.lanes.loss_to_mend() == pytest.approx(0.02, abs=0.005)
    for number in (2, 3):
        assert room.roster.hear(receiver_id(number), room.now + LEASE)
    room.now += LEASE + 1
    room.lanes.forget_silent(room.roster, RateControl(RATE, 0.0), room.now)
    assert room.lanes.loss_to_mend() == pytest.approx(0.03, abs=0.005)
    assert room.roster.catch_up_ids() == (receiver_id(3),)


def test_the_loss_to_mend_is_that_of_the_group() -> None:
    room = Room(ScriptedSeat(1, loss_ratio=0.01), ScriptedSeat(2, loss_ratio=0.02), ScriptedSeat(3, loss_ratio=0.3))
    room.seats[4] = ScriptedSeat(4, loss_ratio=0.02)
    assert room.lanes.loss_to_mend() is None
    room.run(10.0)
    assert room.lanes.loss_to_mend() == pytest.approx(0.02, abs=0.001)

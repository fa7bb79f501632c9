"""What a sender session does about disks that hold something already, about lanes and damage."""

from typing import Any

import msgspec
import pytest

from broadcaster.damage import GIVE_UP_DAMAGED
from broadcaster.roster import STALL
from broadcaster.stragglers import NO_DATA
from broadcaster.transmission import Transmission
from protocol.bitmap import encode_bitmap
from protocol.messages import ReceiverState, SessionPhase
from protocol.ranges import RangeSet
from protocol.wire import TOI_DISK, TOI_MANIFEST
from tests.broadcaster.scripted_room import ScriptedRoom, ScriptedSeat, good_seats
from tests.broadcaster.sender_session import RATE, URL, Bench, at_disk, at_manifest, status_of
from tests.sample_messages import missing_blocks, receiver_id

# --- what the disks hold already -----------------------------------------------------------------------------------


def test_only_what_somebody_misses_is_sent() -> None:
    bench = at_manifest()
    for number, missing in ((1, (3, 6)), (2, (5, 7))):
        bench.receiving(number, 1.0)
        bench.misses(number, 1.0, missing)
    assert bench.phase() is SessionPhase.DISK
    assert bench.sent_blocks(1.0) == [3, 4, 5, 6]
    assert bench.session.plan(TOI_DISK).planned_count == 4


def test_what_most_want_goes_first() -> None:
    bench = at_manifest(seats=3)
    for number, missing in ((1, (0, 2)), (2, (8, 10)), (3, (8, 12))):
        bench.receiving(number, 1.0)
        bench.misses(number, 1.0, missing)
    assert bench.sent_blocks(1.0) == [8, 9, 0, 1, 10, 11]
    assert status_of(bench, 1.0).position == 20


def test_during_the_second_part_the_position_is_the_end() -> None:
    bench = at_manifest(seats=3)
    for number, missing in ((1, (0, 2)), (2, (8, 10)), (3, (8, 10))):
        bench.receiving(number, 1.0)
        bench.misses(number, 1.0, missing)
    bench.send(1.0, limit=1)
    assert status_of(bench, 1.0).position == 9
    bench.send(1.0, limit=1)
    assert status_of(bench, 2.0).position == 20
    assert not bench.session.plan(TOI_DISK).is_over


def test_the_whole_disk_is_waited_for_while_its_scan_goes_on() -> None:
    bench = at_manifest()
    bench.receiving(1, 1.0)
    bench.misses(1, 1.0, (0, 2))
    bench.scanning(2, 1.0)
    assert bench.phase() is SessionPhase.MANIFEST
    bench.receiving(2, 3.0)
    assert bench.phase() is SessionPhase.MANIFEST  # it has scanned, and has yet to say what it found
    bench.misses(2, 3.0, (0, 1))
    assert bench.phase() is SessionPhase.DISK
    assert bench.sent_blocks(3.0) == [0, 1]


def test_what_a_slow_scan_finds_missing_later_is_sent_after_the_pass() -> None:
    bench = at_manifest()
    bench.receiving(1, 1.0)
    bench.misses(1, 1.0, (0, 3))
    now = 1.0
    while bench.phase() is SessionPhase.MANIFEST:
        now += 0.5
        bench.scanning(2, now)
        assert now < 20.0
    bench.send(now, limit=2)
    bench.receiving(2, now)
    bench.misses(2, now, (0, 5))
    assert bench.sent_blocks(now) == [2, 0, 1, 3, 4]


def test_where_nothing_is_missing_nothing_is_sent() -> None:
    bench = at_manifest()
    for number in (1, 2):
        bench.receiving(number, 1.0)
        bench.has_all(number, 1.0)
    assert bench.phase() is SessionPhase.DISK
    assert bench.send(1.0) == []
    assert bench.session.plan(TOI_DISK).is_over
    for number in (1, 2):
        bench.verified(number, 2.0)
    assert bench.phase() is SessionPhase.ENDED


def test_where_nothing_is_sent_a_seat_that_gets_nowhere_stalls_all_the_same() -> None:
    bench = at_manifest(seats=1)
    bench.receiving(1, 1.0)
    bench.has_all(1, 1.0)
    for second in range(2, 70):
        bench.receiving(1, float(second))
    assert bench.outcome(1, 2.0 + STALL - 1.0) == "receiving"
    assert bench.outcome(1, 69.0) == "stalled"


def test_a_seat_that_wants_everything_lets_nobody_wait_for_scans() -> None:
    bench = at_manifest()
    bench.scanning(1, 1.0)
    bench.receiving(2, 1.0)
    bench.misses(2, 1.0)
    assert bench.sent_blocks(1.0) == list(range(20))


def test_a_late_seat_gets_what_it_misses_after_the_pass() -> None:
    bench = at_disk(disk_blocks=20)
    bench.send(0.0, limit=10)
    bench.report(7, 1.0)
    bench.receiving(7, 1.0)
    bench.misses(7, 1.0, (4, 6), (12, 14))
    assert bench.sent_blocks(1.0) == [*range(10, 20), 4, 5]


@pytest.mark.parametrize("is_older", [True, False])
def test_parts_are_believed_in_their_order(is_older: bool) -> None:
    bench = at_manifest(seats=1)
    bench.misses(1, 1.0, (0, 2))
    before = bench.sequence
    bench.misses(1, 1.0, (5, 6))
    if is_older:
        bench.session.receive_message(missing_blocks(1, before, ranges=[(0, 20)], block_count=20), 1.0)
    bench.receiving(1, 1.0)
    assert bench.sent_blocks(1.0) == [5]


@pytest.mark.parametrize(
    "changes",
    [{"block_count": 21, "bitmap": encode_bitmap(RangeSet(), 0, 21)}, {"bitmap": b"none"}, {"first_sbn": 4}],
    ids=["too many blocks", "no bitmap", "no part"],
)
def test_a_part_of_another_disk_is_nonsense_and_worth_nothing(changes: dict[str, Any]) -> None:
    bench = at_manifest(seats=1)
    part = missing_blocks(1, 100, ranges=[(0, 2)], block_count=20)
    bench.session.receive_message(msgspec.structs.replace(part, **changes), 1.0)
    assert bench.nonsense == [receiver_id(1)]
    seat = bench.session.roster.get(receiver_id(1))
    assert seat is not None
    assert not seat.inventory.is_complete(20)


def test_who_is_not_of_the_session_has_no_disk() -> None:
    bench = at_disk(disk_blocks=20)
    bench.send(0.0)
    bench.misses(9, 1.0)
    bench.verified(1, 1.0)
    bench.misses(1, 1.0)
    assert bench.send(1.0) == []


# --- lanes ---------------------------------------------------------------------------------------------------------


class Live(ScriptedRoom):
    """A scripted room around a session that always has something to send."""

    def __init__(self, *seats: ScriptedSeat, catch_up_url: str = URL) -> None:
        super().__init__(*seats)
        self.bench = Bench(expect=len(seats), disk_blocks=20_000, k=186, catch_up_url=catch_up_url, now=self.now)
        for number in self.seats:
            self.bench.report(number, self.now)
        self.bench.send(self.now)
        for number in self.seats:
            self.bench.receiving(number, self.now)
            self.bench.misses(number, self.now)
        self.sequence = self.bench.sequence

    def live(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            reports = self.step()
            while self.bench.session.datagrams_sent < self.datagrams_sent:
                assert self.bench.send(self.now, limit=1)
            for each in reports:
                self.bench.session.receive_message(each, self.now)
        self.bench.sequence = self.sequence = self.sequence + 1000


def test_a_flooded_seat_is_told_to_leave_and_a_black_hole_to_catch_up() -> None:
    room = Live(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75), ScriptedSeat(5, is_dark=True))
    room.live(5.0)
    said = status_of(room.bench, room.now)
    assert said.catch_up == (receiver_id(4), receiver_id(5))
    assert said.must_leave_group == (receiver_id(4),)
    seat = room.bench.session.roster.get(receiver_id(5))
    assert seat is not None
    assert seat.slow_because == NO_DATA


def test_a_move_is_said_at_once() -> None:
    room = Live(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    moved_at = 0.0
    for _ in range(10):
        status_of(room.bench, room.now + 1.0)  # says all that is due, so that only a reason to speak makes it speak
        room.live(0.5)
        seat = room.bench.session.roster.get(receiver_id(4))
        assert seat is not None
        if seat.is_on_catch_up:
            moved_at = room.now
            break
    assert moved_at
    assert room.bench.session.next_timeout() <= moved_at


def test_the_rate_follows_the_reports_of_the_room() -> None:
    room, rates = Live(*(ScriptedSeat(number, loss_ratio=0.4) for number in (1, 2, 3))), set()
    for _ in range(20):
        room.live(0.5)
        rates.add(status_of(room.bench, room.now).rate_bits_per_second)
    assert min(rates) < RATE


def test_a_straggler_decides_nothing_about_the_rate() -> None:
    room = Live(*good_seats(1, 2), ScriptedSeat(3, loss_ratio=0.75), ScriptedSeat(4, loss_ratio=0.75))
    room.seats[5] = ScriptedSeat(5)
    room.bench.report(5, room.now)
    room.sequence = room.bench.sequence
    room.live(20.0)
    assert room.bench.session.rate.rate_bits_per_second == RATE


def test_what_a_seat_on_the_catch_up_lane_asks_the_group_is_ignored() -> None:
    room = Live(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    room.live(5.0)
    bench = room.bench
    bench.ask(4, room.now, deficits=((0, 5),))
    assert bench.send(room.now, limit=1)[0].is_first_pass
    bench.ask(1, room.now, deficits=((0, 5),))
    assert not bench.send(room.now, limit=1)[0].is_first_pass


def test_what_it_asked_before_it_moved_is_forgotten() -> None:
    room = Live(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    bench = room.bench
    room.live(1.0)
    bench.ask(4, room.now, deficits=tuple((sbn, 100) for sbn in range(50)))
    room.live(4.0)
    assert bench.session.roster.catch_up_ids() == (receiver_id(4),)
    assert all(each.is_first_pass for each in bench.send(room.now, limit=5))


def test_without_a_catch_up_lane_nobody_is_moved() -> None:
    room = Live(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75), catch_up_url="")
    room.live(10.0)
    assert status_of(room.bench, room.now).catch_up == ()


def test_a_seat_that_reads_back_is_on_no_lane() -> None:
    room = Live(*good_seats(1, 2, 3), ScriptedSeat(4, loss_ratio=0.75))
    room.live(5.0)
    room.bench.receiving(4, room.now, state=ReceiverState.VERIFYING)
    assert status_of(room.bench, room.now + 1.0).catch_up == ()


# --- damage in the library -----------------------------------------------------------------------------------------


def hand_out(bench: Bench, sbn: int, now: float) -> Transmission:
    """The transmission of this block; the ones before it leave."""
    while (transmission := bench.session.next_transmission(now)) is not None:
        if transmission.sbn == sbn:
            return transmission
        bench.session.transmitted(transmission, now)
    raise AssertionError("never")


def test_a_damaged_block_is_not_sent_and_the_rest_is() -> None:
    bench = at_disk()
    hand_out(bench, 2, 0.0)
    bench.session.cannot_send(TOI_DISK, 2, "chunk 2 is damaged", 0.0)
    assert bench.sent_blocks(0.0) == [3]
    assert bench.session.plan(TOI_DISK).is_over
    bench.ask(1, 1.0, absent=((1, 3),), deficits=((2, 1),))
    assert bench.sent_blocks(1.0) == [1, 3]
    assert bench.session.damaged == {2: "chunk 2 is damaged"}


def test_seats_that_need_it_end_incomplete_and_the_others_verified() -> None:
    bench = at_manifest(seats=2, disk_blocks=20)
    for number, missing in ((1, (0, 3)), (2, (0, 2))):
        bench.receiving(number, 0.0)
        bench.misses(number, 0.0, missing)
    hand_out(bench, 2, 0.0)
    bench.session.cannot_send(TOI_DISK, 2, "chunk 2 is damaged", 0.0)
    bench.send(0.0)
    for half_second in range(1, 2 * int(GIVE_UP_DAMAGED) + 3):
        now = half_second / 2
        bench.receiving(1, now, blocks_missing=1)
        bench.verified(2, now) if half_second == 2 else None
    assert [bench.outcome(number, now) for number in (1, 2)] == ["incomplete", "verified"]
    seat = bench.session.roster.get(receiver_id(1))
    assert seat is not None
    assert seat.incomplete_because == "1 block is damaged in the library, first 2: chunk 2 is damaged"
    assert bench.phase() is SessionPhase.ENDED


def test_a_seat_that_still_gets_somewhere_is_not_given_up() -> None:
    bench = at_disk(seats=1)
    hand_out(bench, 2, 0.0)
    bench.session.cannot_send(TOI_DISK, 2, "chunk 2 is damaged", 0.0)
    bench.send(0.0)
    for second in range(1, 20):
        bench.receiving(1, float(second), blocks_missing=1, bytes_written=second)
    assert bench.outcome(1, 19.0) == "receiving"


def test_a_seat_that_does_not_need_the_damaged_block_is_not_given_up() -> None:
    """Its disk stands still for longer than it takes to give up."""
    bench = at_manifest(seats=2, disk_blocks=20)
    for number, missing in ((1, (0, 3)), (2, (0, 2))):
        bench.receiving(number, 0.0)
        bench.misses(number, 0.0, missing)
    hand_out(bench, 2, 0.0)
    bench.session.cannot_send(TOI_DISK, 2, "chunk 2 is damaged", 0.0)
    bench.send(0.0)
    for second in range(1, 20):
        bench.receiving(2, float(second), blocks_missing=1)
    assert bench.outcome(2, 19.0) == "receiving"
    bench.ask(2, 19.0, deficits=((1, 1),))
    assert bench.sent_blocks(19.0) == [1]


def test_without_the_manifest_there_is_nothing_to_send() -> None:
    bench = Bench(expect=1)
    bench.report(1, 0.0)
    bench.session.cannot_send(TOI_MANIFEST, 0, "no such file", 1.0)
    assert (bench.phase(), bench.session.end_reason) == (SessionPhase.ENDED, "no such file")

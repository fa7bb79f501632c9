from protocol.messages import (
    ReceiverReport,
    ReceiverState,
)
from receiver.repair import REPAIR_CYCLE
from receiver.speech import REPORT_INTERVAL
from tests.receiver.seat import (
    DATAGRAM,
    ROOM_FOR_ONE_BLOCK,
    Seat,
    receiving_seat,
)
from tests.sample_messages import status


def test_reports_come_at_once_and_then_twice_a_second() -> None:
    seat = Seat()
    assert [type(message) for message in seat.messages(0.0)] == [ReceiverReport]
    assert seat.messages(REPORT_INTERVAL - 0.01) == []
    assert [type(message) for message in seat.messages(REPORT_INTERVAL)] == [ReceiverReport]


def test_every_change_of_state_is_reported_at_once() -> None:
    seat = receiving_seat(1)
    seat.messages(0.0)
    seat.session.failed("sda: write failed", 0.01)
    (message,) = seat.messages(0.01)
    assert isinstance(message, ReceiverReport)
    assert (message.state, message.reason) == (ReceiverState.FAILED, "sda: write failed")


def test_sequence_numbers_grow_over_reports_and_requests() -> None:
    seat = receiving_seat(3)
    seat.session.receive_message(status(2, position=3), 0.5)
    sequences = [message.sequence for now in range(1, 6) for message in seat.messages(float(now))]
    assert sequences == sorted(set(sequences))
    assert len(sequences) >= 9


def test_a_report_holds_the_counters() -> None:
    seat = receiving_seat(3)
    seat.arrive(0, range(4))
    seat.session.counters.buffer_drops = 6
    seat.session.counters.bytes_to_verify = 11
    seat.session.counters.bytes_verified = 9
    message = seat.session.report()
    assert (message.blocks_total, message.blocks_missing, message.has_manifest) == (3, 3, True)
    assert (message.bytes_received, message.backlog_bytes) == (6 * DATAGRAM, ROOM_FOR_ONE_BLOCK)
    assert (message.has_scanned, message.blocks_without_room) == (True, 0)
    assert (message.buffer_drops, message.bytes_to_verify, message.bytes_verified) == (6, 11, 9)


def test_names_and_reasons_of_any_length_and_bytes_can_be_reported() -> None:
    seat = Seat(target="/mnt/" + 70 * "x" + "caf\udce9.img")
    seat.session.failed("caf\udce9: " + 500 * "x", 0.0)
    (message,) = seat.messages(0.0)
    assert isinstance(message, ReceiverReport)
    assert (len(message.target), message.target[-13:]) == (64, "caf\\udce9.img")
    assert message.reason.startswith("caf\\udce9: x")


def test_the_next_timeout_is_when_something_is_due() -> None:
    seat = receiving_seat(3)
    seat.messages(0.0)
    at = seat.session.next_timeout()
    assert 0.0 < at <= REPAIR_CYCLE * 1.2
    seat.messages(at)
    assert seat.session.next_timeout() > at


def test_nothing_is_asked_for_while_datagrams_that_arrived_wait_to_be_opened() -> None:
    seat = receiving_seat(10)
    seat.messages(0.5)
    seat.session.receive_message(status(2, position=8), 1.0)
    behind = []
    while (message := seat.session.next_message(5.0, is_caught_up=False)) is not None:
        behind.append(message)
    assert [type(message) for message in behind] == [ReceiverReport]
    assert seat.session.next_timeout() > 5.0
    assert seat.wants(6.0) == ({}, [(0, 7)])

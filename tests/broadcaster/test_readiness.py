import pytest

from broadcaster.readiness import (
    ARMING_PATIENCE,
    MANIFEST_PATIENCE,
    RESUME_PATIENCE,
    SCAN_PATIENCE,
    Readiness,
    StartPolicy,
)
from broadcaster.roster import Roster, Seat
from protocol.messages import ReceiverState
from tests.sample_messages import report

BLOCKS = 8
EVERYTHING = (1 << BLOCKS) - 1
SOME = 0b101
STORED = 2_500_000_000
RATE = 1_000_000_000
SEND_ALL = 20.0
"""[s] to send all of it at that rate"""


def without_manifest() -> Seat:
    return Seat(report(), joined_at=0.0, heard_at=0.0, progressed_at=0.0)


def scanning() -> Seat:
    return Seat(
        report(state=ReceiverState.RECEIVING, has_manifest=True), joined_at=0.0, heard_at=0.0, progressed_at=0.0
    )


def scanned() -> Seat:
    seat = scanning()
    seat.report = report(state=ReceiverState.RECEIVING, has_manifest=True, has_scanned=True)
    return seat


def opened(*, stored_bytes: int = STORED) -> Readiness:
    """The manifest has left at second 0."""
    readiness = Readiness(stored_bytes)
    readiness.manifest_left(0.0)
    return readiness


def may_start(readiness: Readiness, seats: list[Seat], known: list[int], now: float) -> bool:
    return readiness.may_start(seats, known, block_count=BLOCKS, rate_bits_per_second=RATE, now=now)


def started_at(readiness: Readiness, seats: list[Seat], known: list[int], since: float = 0.0) -> float:
    """When it starts if nothing more becomes known."""
    now = since
    while not may_start(readiness, seats, known, now):
        now += 0.25
        assert now < 1000, "never"
    return now


def arming() -> Seat:
    return Seat(report(state=ReceiverState.ARMING), joined_at=0.0, heard_at=0.0, progressed_at=0.0)


def room_of(*states: ReceiverState) -> Roster:
    roster = Roster()
    for number, state in enumerate(states, 1):
        assert roster.hear_report(report(number, state=state), 0.0, is_progress_due=False)
    return roster


@pytest.mark.parametrize(
    ("states", "waited", "may_start"),
    [
        (["ready", "ready"], 0.0, True),
        (["ready", "arming"], 0.0, False),
        (["ready", "arming"], 60.0, False),  # the wait is over, but not the countdown
        (["ready", "arming"], 60.0 + ARMING_PATIENCE, True),
        (["arming", "arming"], 60.0 + ARMING_PATIENCE, False),  # nobody is there to begin with
        (["ready"], 59.0, False),
        (["ready"], 60.0, True),
        (["ready", "refused"], 0.0, True),
        (["arming", "refused"], 0.0, False),
        (["arming", "refused", "refused"], 60.0 + ARMING_PATIENCE, False),
        (["ready", "ready", "arming"], 0.0, True),  # one more than was expected
        ([], 60.0, False),
    ],
)
def test_who_counts_down_is_waited_for_and_not_ready(states: list[str], waited: float, may_start: bool) -> None:
    roster = room_of(*map(ReceiverState, states))
    assert StartPolicy(2, 60.0).may_start(roster, waited, 0.0) is may_start


def test_who_comes_late_and_counts_down_holds_up_nobody() -> None:
    assert may_start(opened(), [scanned(), arming()], [SOME], 0.0)


def test_a_room_in_which_all_count_down_waits_for_them() -> None:
    readiness = opened()
    assert not may_start(readiness, [arming(), arming()], [], 1000.0)
    assert may_start(readiness, [scanned(), arming()], [SOME], 1001.0)


def unheard() -> Seat:
    seat = scanned()
    seat.is_unheard = True
    return seat


def test_a_seat_of_before_a_restart_is_waited_for_a_moment_only() -> None:
    assert started_at(opened(), [scanned(), scanned(), unheard()], [SOME, SOME]) == RESUME_PATIENCE
    assert started_at(opened(), [scanned(), scanning(), unheard()], [SOME]) > RESUME_PATIENCE


def test_after_a_restart_nothing_starts_while_nobody_has_spoken() -> None:
    assert not may_start(opened(), [unheard(), unheard()], [], 1000.0)


def test_nothing_starts_before_the_manifest_has_left() -> None:
    readiness = Readiness(STORED)
    assert not may_start(readiness, [scanned()], [SOME], 1000.0)
    readiness.manifest_left(1000.0)
    assert may_start(readiness, [scanned()], [SOME], 1000.0)


@pytest.mark.parametrize(
    ("seats", "known", "starts"),
    [
        ([scanned(), scanned()], [SOME, 0], True),
        ([scanned(), scanned()], [EVERYTHING, 0], True),
        ([scanned(), scanning()], [SOME], False),
        ([scanned(), scanning()], [EVERYTHING], True),
        ([scanned(), without_manifest()], [EVERYTHING], False),
        ([scanned(), without_manifest()], [SOME], False),
        ([scanning(), scanning()], [], False),
        ([], [], True),
    ],
    ids=[
        "all is known",
        "all is known, and one has nothing",
        "a scan goes on",
        "a scan goes on, and everything must be sent anyway",
        "everything must be sent, and one has no manifest",
        "one has no manifest",
        "nothing is known",
        "nobody is served by the group",
    ],
)
def test_what_starts_it_at_once(seats: list[Seat], known: list[int], starts: bool) -> None:
    assert may_start(opened(), seats, known, 0.0) == starts


def test_nobody_waits_for_a_manifest_longer_than_patience() -> None:
    assert started_at(opened(), [without_manifest(), without_manifest()], []) == MANIFEST_PATIENCE


def test_a_scan_is_waited_for_as_long_as_sending_everything_takes() -> None:
    assert started_at(opened(), [scanning(), scanning()], []) == SEND_ALL


def test_a_small_disk_is_waited_for_a_little() -> None:
    assert started_at(opened(stored_bytes=1000), [scanning(), scanning()], []) == SCAN_PATIENCE


def test_who_has_no_manifest_does_not_cut_the_scans_of_the_others_short() -> None:
    assert started_at(opened(), [scanning(), without_manifest()], []) == SEND_ALL


def test_once_half_of_the_room_is_known_the_rest_has_a_little_longer() -> None:
    seats = [scanned(), scanned(), scanning(), scanning()]
    readiness = opened(stored_bytes=10 * STORED)
    assert not may_start(readiness, seats, [SOME], 30.0)
    assert not may_start(readiness, seats, [SOME, 0], 40.0)
    assert started_at(readiness, seats, [SOME, 0], since=40.0) == 40.0 + 40.0 / 4


def test_where_half_of_the_room_was_quick_the_rest_has_the_least_patience() -> None:
    seats = [scanned(), scanning()]
    readiness = opened()
    assert not may_start(readiness, seats, [SOME], 1.0)
    assert started_at(readiness, seats, [SOME], since=1.0) == 1.0 + SCAN_PATIENCE


def test_half_of_the_room_is_never_worth_more_than_sending_everything() -> None:
    seats = [scanned(), scanning()]
    readiness = opened()
    assert not may_start(readiness, seats, [SOME], SEND_ALL - 1.0)
    assert started_at(readiness, seats, [SOME], since=SEND_ALL - 1.0) == SEND_ALL


def test_a_manifest_that_leaves_again_changes_nothing() -> None:
    readiness = opened()
    readiness.manifest_left(9.0)
    assert started_at(readiness, [without_manifest()], []) == MANIFEST_PATIENCE


def test_while_nobody_can_be_heard_patience_does_not_run_out() -> None:
    readiness, seats = opened(), [scanned(), scanning()]
    assert not may_start(readiness, seats, [SOME], 1.0)
    readiness.excuse(100.0)
    assert started_at(readiness, seats, [SOME], since=100.0) == 101.0 + SCAN_PATIENCE
    before = Readiness(STORED)
    before.excuse(100.0)
    before.manifest_left(100.0)
    assert started_at(before, [scanning()], [], since=100.0) == 100.0 + SEND_ALL

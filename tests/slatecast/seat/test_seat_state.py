"""What must hold at a seat, tried with every order of events that hypothesis thinks of, and the cases by name."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.configuration import StepState
from protocol.messages import ReceiverState
from protocol.seat_api import CaptureOrder
from slatecast.seat.boot_arguments import SeatMode
from slatecast.seat.captures import CAPTURE_RETRY, DISK_PATIENCE
from slatecast.seat.events import (
    AbortSession,
    Action,
    Afterwards,
    AnswerWords,
    AskRestore,
    BreakOffSession,
    BroadcasterSeen,
    CaptureEnded,
    CaptureProgressed,
    ConfigurationEnded,
    DoorFound,
    Enrolled,
    Event,
    Joined,
    KeyPressed,
    NetworkSeen,
    PowerOff,
    RefuseCapture,
    Refused,
    Restart,
    RestoreAnswered,
    Searching,
    SessionEnded,
    SessionSeen,
    StartCapture,
    StepReported,
    StopCapture,
    TargetSeen,
    WordsAsked,
    WordsShown,
    WorkSeen,
)
from slatecast.seat.questions import QUESTION_PATIENCE
from slatecast.seat.seat_state import RESTART_COUNTDOWN, SeatState
from tests.slatecast.seat.facts import (
    NETWORK,
    OFFER,
    ORDER,
    OTHER_TSI,
    TARGET,
    TSI,
    actions,
    joined,
    press,
    session,
    work,
)

WRITING = tuple(state for state in ReceiverState if state is not ReceiverState.PLANNED)


@pytest.fixture
def seat() -> SeatState:
    return joined(SeatState())


# --- captures --------------------------------------------------------------------------------------------------------


def test_a_capture_that_is_ordered_begins_once(seat: SeatState) -> None:
    seat.handle(work(capture=ORDER), 1.0)
    seat.handle(work(capture=ORDER), 2.0)
    assert actions(seat) == [StartCapture(ORDER)]
    seat.handle(CaptureProgressed(0.5, "sending"), 3.0)
    assert seat.captures.running is not None
    assert seat.captures.running.done == 0.5
    seat.handle(CaptureEnded(ORDER.capture_id), 4.0)
    seat.handle(work(capture=ORDER), 100.0)
    assert actions(seat) == []


def test_a_plan_does_not_keep_a_backup_away(seat: SeatState) -> None:
    seat.handle(SessionSeen(session(ReceiverState.PLANNED)), 1.0)
    seat.handle(work(capture=ORDER), 1.0)
    assert actions(seat) == [StartCapture(ORDER)]


@pytest.mark.parametrize("state", WRITING)
def test_a_session_that_may_write_keeps_a_capture_away(seat: SeatState, state: ReceiverState) -> None:
    seat.handle(SessionSeen(session(state)), 1.0)
    seat.handle(work(capture=ORDER), 1.0)
    assert actions(seat) == []
    seat.handle(SessionEnded(TSI, ReceiverState.FAILED, "stopped at the seat"), 2.0)
    assert actions(seat) == [StartCapture(ORDER)]


def test_a_capture_yields_to_a_session_that_is_to_write_and_comes_again_later(seat: SeatState) -> None:
    seat.handle(work(capture=ORDER), 1.0)
    seat.handle(SessionSeen(session(ReceiverState.ARMING)), 2.0)
    seat.handle(SessionSeen(session(ReceiverState.READY)), 3.0)
    assert actions(seat) == [StartCapture(ORDER), StopCapture()]
    seat.handle(CaptureEnded(ORDER.capture_id, "interrupted", may_try_again=True), 4.0)
    seat.handle(SessionEnded(TSI, ReceiverState.REFUSED, "stopped at the seat"), 4.1)
    assert actions(seat) == []
    seat.tick(4.0 + CAPTURE_RETRY)
    assert actions(seat) == [StartCapture(ORDER)]


def test_no_capture_while_a_verified_disk_is_configured(seat: SeatState) -> None:
    seat.handle(SessionSeen(session(ReceiverState.VERIFYING)), 1.0)
    seat.handle(work(capture=ORDER), 1.0)
    seat.handle(SessionEnded(TSI, ReceiverState.VERIFIED, ""), 2.0)
    seat.handle(StepReported("grow", StepState.RUNNING), 3.0)
    assert actions(seat) == []
    seat.handle(ConfigurationEnded(Afterwards.STAY), 4.0)
    assert actions(seat) == [StartCapture(ORDER)]


def test_no_capture_while_nobody_knows_which_disk(seat: SeatState) -> None:
    seat.handle(TargetSeen("auto", fault="fits 2 disks"), 1.0)
    seat.handle(work(capture=ORDER), 1.0)
    assert actions(seat) == []
    seat.handle(TARGET, 2.0)
    assert actions(seat) == [StartCapture(ORDER)]


def test_an_order_for_a_disk_that_stays_unknown_is_refused(seat: SeatState) -> None:
    seat.handle(TargetSeen("auto", fault="fits 2 disks"), 1.0)
    seat.handle(work(capture=ORDER), 1.0)
    seat.tick(1.0 + DISK_PATIENCE)
    assert actions(seat) == [RefuseCapture(ORDER.capture_id, "auto: fits 2 disks")]
    seat.handle(CaptureEnded(ORDER.capture_id, "auto: fits 2 disks"), 30.0)
    seat.handle(TARGET, 60.0)
    assert actions(seat) == []


def test_whoever_sits_there_may_stop_a_capture_for_good(seat: SeatState) -> None:
    seat.handle(work(capture=ORDER), 1.0)
    press(seat, "an", 2.0)
    assert actions(seat) == [StartCapture(ORDER)]
    press(seat, "ay", 3.0)
    assert actions(seat) == [StopCapture("stopped at the seat")]
    seat.handle(CaptureEnded(ORDER.capture_id, "stopped at the seat"), 4.0)
    seat.tick(100.0)
    assert actions(seat) == []


# --- sessions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["a", "A", "escape"])
@pytest.mark.parametrize("state", [ReceiverState.PLANNED, ReceiverState.ARMING, ReceiverState.READY])
def test_one_key_stops_what_was_not_written(seat: SeatState, state: ReceiverState, key: str) -> None:
    seat.handle(SessionSeen(session(state)), 1.0)
    seat.handle(KeyPressed(key), 1.0)
    assert actions(seat) == [AbortSession()]


def test_later_it_takes_two(seat: SeatState) -> None:
    seat.handle(SessionSeen(session(ReceiverState.RECEIVING)), 1.0)
    press(seat, "aa", 1.0)
    assert actions(seat) == []
    press(seat, "ay", 2.0)
    assert actions(seat) == [BreakOffSession()]


@pytest.mark.parametrize("state", [ReceiverState.VERIFYING, ReceiverState.VERIFIED])
def test_a_disk_that_is_complete_is_not_broken_off(seat: SeatState, state: ReceiverState) -> None:
    seat.handle(SessionSeen(session(state)), 1.0)
    press(seat, "ay", 1.0)
    assert actions(seat) == []


def test_a_question_is_void_once_the_disk_is_complete(seat: SeatState) -> None:
    seat.handle(SessionSeen(session(ReceiverState.RECEIVING)), 1.0)
    press(seat, "a", 1.0)
    seat.handle(SessionSeen(session(ReceiverState.VERIFYING)), 1.1)
    press(seat, "y", 1.2)
    assert actions(seat) == []


@pytest.mark.parametrize(
    ("afterwards", "expected"), [(Afterwards.RESTART, [Restart()]), (Afterwards.POWER_OFF, [PowerOff()]), ("stay", [])]
)
def test_what_becomes_of_a_complete_disk(seat: SeatState, afterwards: Afterwards, expected: list[Action]) -> None:
    seat.handle(SessionSeen(session(ReceiverState.VERIFYING)), 1.0)
    seat.handle(SessionEnded(TSI, ReceiverState.VERIFIED, ""), 2.0)
    seat.handle(ConfigurationEnded(Afterwards(afterwards)), 10.0)
    seat.tick(10.0 + RESTART_COUNTDOWN - 0.1)
    assert actions(seat) == []
    seat.tick(10.0 + RESTART_COUNTDOWN)
    assert actions(seat) == expected
    seat.tick(11.0 + RESTART_COUNTDOWN)
    assert actions(seat) == []


@pytest.mark.parametrize("event", [KeyPressed("x"), SessionSeen(session(ReceiverState.ARMING, tsi=OTHER_TSI))])
def test_a_key_or_another_session_keeps_it_on(seat: SeatState, event: Event) -> None:
    seat.handle(SessionEnded(TSI, ReceiverState.VERIFIED, ""), 2.0)
    seat.handle(ConfigurationEnded(Afterwards.RESTART), 3.0)
    seat.handle(event, 4.0)
    seat.tick(100.0)
    assert actions(seat) == []


# --- restores, and leaving the PC -------------------------------------------------------------------------------------


def test_a_restore_takes_two_keys_soon_after_each_other(seat: SeatState) -> None:
    seat.handle(work(restore=OFFER), 1.0)
    press(seat, "r", 1.0)
    press(seat, "r", 1.5)
    assert actions(seat) == []
    press(seat, "r", 2.0)
    seat.tick(2.0 + QUESTION_PATIENCE)
    press(seat, "y", 3.0 + QUESTION_PATIENCE)
    assert actions(seat) == []
    press(seat, "ry", 50.0)
    assert actions(seat) == [AskRestore(OFFER)]
    seat.handle(RestoreAnswered(), 51.0)
    assert seat.is_restore_wanted


def test_nobody_gets_another_restore_than_was_shown(seat: SeatState) -> None:
    seat.handle(work(restore=OFFER), 1.0)
    press(seat, "r", 1.0)
    seat.handle(work(restore=None), 1.5)
    press(seat, "y", 2.0)
    assert actions(seat) == []


def test_nothing_is_restored_where_it_is_not_offered() -> None:
    seat = joined(SeatState(SeatMode.MENU))
    press(seat, "ry")
    assert actions(seat) == []


def test_leaving_stops_a_capture_and_takes_two_keys(seat: SeatState) -> None:
    seat.handle(work(capture=ORDER), 1.0)
    press(seat, "bq", 1.0)
    press(seat, "by", 1.0)
    assert actions(seat) == [StartCapture(ORDER), StopCapture(), Restart()]
    press(seat, "qy", 1.0)
    assert actions(seat) == [PowerOff()]


@pytest.mark.parametrize("state", WRITING)
def test_nobody_leaves_a_disk_that_may_be_written(seat: SeatState, state: ReceiverState) -> None:
    seat.handle(SessionSeen(session(state)), 1.0)
    press(seat, "byqy", 1.0)
    assert actions(seat) == []


# --- enrolment -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "are_same"), [("y", True), ("Y", True), ("n", False)])
def test_words_are_compared_by_whoever_is_there(key: str, are_same: bool) -> None:
    seat = SeatState()
    for event in (NETWORK, DoorFound("192.0.2.1:8884"), WordsShown(("apple", "river", "stone", "wolf")), WordsAsked()):
        seat.handle(event, 1.0)
    press(seat, "aqbr ", 2.0)
    assert actions(seat) == []
    press(seat, key, 3.0)
    assert actions(seat) == [AnswerWords(are_same)]
    press(seat, key, 3.0)
    assert actions(seat) == []


def test_it_forgets_the_words_when_it_is_let_in_or_not() -> None:
    for event in (Enrolled(), Refused("the operator has refused this receiver")):
        seat = SeatState()
        seat.handle(WordsShown(("apple", "river", "stone", "wolf")), 1.0)
        seat.handle(event, 2.0)
        assert seat.words == ()


# --- whatever comes --------------------------------------------------------------------------------------------------

views = st.builds(
    session,
    st.sampled_from(ReceiverState),
    tsi=st.sampled_from((TSI, OTHER_TSI)),
    may_be_stopped=st.booleans(),
)
orders = st.builds(
    lambda number: CaptureOrder(capture_id=f"{number:016x}", image="x", is_backup=True, target=""), st.integers(1, 3)
)
happenings: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([NETWORK, NetworkSeen(), TARGET, TargetSeen("auto", fault="fits 2 disks"), Joined(), Searching()]),
    st.sampled_from([WordsShown(("a", "b", "c", "d")), WordsAsked(), Enrolled(), Refused("no"), DoorFound("x:1")]),
    st.sampled_from([BroadcasterSeen(False), RestoreAnswered(""), RestoreAnswered("no"), WorkSeen(None)]),
    st.builds(SessionSeen, st.none() | views),
    st.builds(SessionEnded, st.just(TSI), st.sampled_from(ReceiverState), st.just("")),
    st.builds(lambda offer, order: work(restore=offer, capture=order), st.none() | st.just(OFFER), st.none() | orders),
    st.builds(CaptureEnded, st.sampled_from(["1".zfill(16), "2".zfill(16)]), st.just(""), st.booleans()),
    st.builds(ConfigurationEnded, st.sampled_from(Afterwards)),
    st.builds(KeyPressed, st.sampled_from(["a", "y", "r", "b", "q", "n", "escape", "x"])),
    st.sampled_from(["tick"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(happenings, st.sampled_from([0.0, 1.0, 40.0])), max_size=40))
def test_what_must_hold_whatever_comes(course: list[tuple[Any, float]]) -> None:
    seat = joined(SeatState())
    now, last_keys, is_capturing, is_complete = 0.0, "", False, False
    for happening, later in course:
        now += later
        if isinstance(happening, CaptureEnded):
            is_capturing = False
        if happening == "tick":
            seat.tick(now)
        else:
            seat.handle(happening, now)
        if isinstance(happening, ConfigurationEnded):
            is_complete = True
        if isinstance(happening, KeyPressed):
            last_keys = (last_keys + happening.key[0])[-2:]
        for action in actions(seat):
            is_capturing = _judged(action, seat, last_keys, is_capturing=is_capturing, is_complete=is_complete)
        running = seat.captures.running
        assert not (running is not None and seat.may_write and not running.is_stopping)


def _judged(action: Any, seat: SeatState, last_keys: str, *, is_capturing: bool, is_complete: bool) -> bool:
    """Whether a capture runs from now on."""
    match action:
        case StartCapture():
            assert not seat.may_write
            assert not is_capturing
            return True
        case StopCapture():
            assert is_capturing
        case AskRestore():
            assert last_keys == "ry"
        case BreakOffSession():
            assert last_keys in ("ay", "ey")
        case Restart() | PowerOff():
            assert last_keys in ("by", "qy") or is_complete
            assert not seat.may_write
        case AbortSession():
            assert seat.session is not None
            assert seat.session.may_be_stopped
    return is_capturing

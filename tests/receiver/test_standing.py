from collections.abc import Callable

import pytest

from protocol.errors import RefusedError, SessionStateError
from protocol.messages import (
    ReceiverReport,
    ReceiverState,
)
from protocol.wire import TOI_DISK, TOI_MANIFEST
from receiver.arming import PLANNED, STOPPED, STOPPED_BY_OPERATOR, Arming
from receiver.events import BlockDecodable
from receiver.session import ReceiverSession
from receiver.standing import Standing
from tests.receiver.seat import (
    MANIFEST_K,
    K,
    Seat,
    manifest_of,
    receiving_seat,
    verifying_seat,
)
from tests.sample_messages import status

Step = Callable[[ReceiverSession], None]


def standing(countdown: float = 0.0, *, is_held: bool = False) -> Standing:
    return Standing(Arming(countdown, 0.0, is_held=is_held), 0.0)


@pytest.mark.parametrize(
    ("countdown", "is_held", "state"),
    [
        (0.0, False, ReceiverState.READY),
        (5.0, False, ReceiverState.ARMING),
        (0.0, True, ReceiverState.PLANNED),
        (5.0, True, ReceiverState.PLANNED),
    ],
)
def test_what_it_begins_as(countdown: float, is_held: bool, state: ReceiverState) -> None:
    begun = standing(countdown, is_held=is_held)
    assert (begun.state, begun.reason) == (state, PLANNED if is_held else "")
    assert begun.may_foresee is (state is not ReceiverState.READY)
    assert begun.untold_since is None


def test_a_countdown_ends_once() -> None:
    counting = standing(5.0)
    assert not counting.count_down(2.0)
    assert (counting.reason, counting.untold_since) == (counting.arming.words(2.0), None)
    assert counting.count_down(5.0)
    assert (counting.state, counting.reason, counting.untold_since) == (ReceiverState.READY, "", 5.0)
    assert not counting.count_down(6.0)


@pytest.mark.parametrize("state", ReceiverState)
def test_blocks_of_the_disk_are_taken_only_where_they_can_be_written(state: ReceiverState) -> None:
    in_state = standing()
    in_state.enter(state, 1.0)
    assert in_state.takes(TOI_MANIFEST) is not state.is_final
    assert in_state.takes(TOI_DISK) is (state in (ReceiverState.RECEIVING, ReceiverState.VERIFYING))


def test_it_is_stopped_at_the_seat_only_before_the_first_write() -> None:
    early, late = standing(5.0), standing()
    assert early.stop_at_seat(1.0)
    assert (early.state, early.reason, early.is_stopped) == (ReceiverState.REFUSED, STOPPED, True)
    assert not early.stop_at_seat(2.0)
    late.arming.begin_writing(1.0, proved_blocks=1)
    assert not late.stop_at_seat(1.0)
    assert late.state is ReceiverState.READY


def test_what_the_operator_stops_was_refused_before_the_first_write_and_failed_after_it() -> None:
    early, late = standing(5.0), standing()
    early.dismiss(1.0)
    assert (early.state, early.reason) == (ReceiverState.REFUSED, STOPPED_BY_OPERATOR)
    with pytest.raises(RefusedError):
        early.arming.begin_writing(9.0, proved_blocks=1)
    late.arming.begin_writing(1.0, proved_blocks=1)
    late.enter(ReceiverState.RECEIVING, 1.0)
    late.dismiss(2.0)
    assert (late.state, late.reason) == (ReceiverState.FAILED, STOPPED_BY_OPERATOR)


def test_what_is_about_to_be_made_bootable_is_not_stopped() -> None:
    reading_back = standing()
    assert not reading_back.may_commit()
    reading_back.enter(ReceiverState.VERIFYING, 1.0)
    assert reading_back.may_commit()
    reading_back.dismiss(2.0)
    assert reading_back.state is ReceiverState.VERIFYING


VERIFIED_STEP: Step = lambda session: session.verified(0.0)  # noqa: E731 - a table of steps reads better than six defs
LOADED_STEP: Step = lambda session: session.manifest_loaded(manifest_of(1), 0.0)  # noqa: E731 - as above
READ_BACK_STEP: Step = lambda session: session.read_back_failed([0], 0.0)  # noqa: E731 - as above
REFUSED_STEP: Step = lambda session: session.refused("too small", 0.0)  # noqa: E731 - as above


@pytest.mark.parametrize(
    ("make_seat", "step"),
    [
        (Seat, VERIFIED_STEP),
        (Seat, READ_BACK_STEP),
        (lambda: receiving_seat(1), VERIFIED_STEP),
        (lambda: receiving_seat(1), READ_BACK_STEP),
        (lambda: receiving_seat(1), LOADED_STEP),
        (lambda: receiving_seat(1), REFUSED_STEP),
        (verifying_seat, LOADED_STEP),
        (verifying_seat, REFUSED_STEP),
    ],
)
def test_steps_out_of_their_state_are_our_own_misuse(make_seat: Callable[[], Seat], step: Step) -> None:
    seat = make_seat()
    before = seat.session.state
    with pytest.raises(SessionStateError):
        step(seat.session)
    assert seat.session.state is before


@pytest.mark.parametrize("make_seat", [Seat, lambda: receiving_seat(1), verifying_seat])
@pytest.mark.parametrize("verb", ["failed", "damaged"])
def test_disk_and_manifest_may_fail_in_any_state(make_seat: Callable[[], Seat], verb: str) -> None:
    seat = make_seat()
    getattr(seat.session, verb)("sda: write failed", 1.0)
    assert (seat.session.state.value, seat.session.reason) == (verb, "sda: write failed")
    getattr(seat.session, "failed" if verb == "damaged" else "damaged")("later", 2.0)
    assert (seat.session.state.value, seat.session.reason) == (verb, "sda: write failed")


def test_what_is_done_cannot_fail_any_more() -> None:
    seat = verifying_seat()
    seat.session.verified(1.0)
    seat.session.failed("too late", 2.0)
    assert (seat.session.state, seat.session.reason) == (ReceiverState.VERIFIED, "")


def test_a_refused_seat_wants_nothing() -> None:
    seat = Seat()
    seat.session.refused("sda: too small", 0.0)
    assert seat.session.state is ReceiverState.REFUSED
    assert not seat.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K)
    seat.session.receive_message(status(), 1.0)
    assert all(isinstance(message, ReceiverReport) for message in seat.messages(5.0))


def test_steps_that_finish_after_the_end_change_nothing() -> None:
    seat = receiving_seat(1)
    seat.arrive(0, range(K))
    (event,) = seat.events()
    seat.session.failed("sda: write failed", 1.0)
    assert isinstance(event, BlockDecodable)
    seat.session.block_stored(event.block, 2.0)
    assert (seat.session.state, seat.events()) == (ReceiverState.FAILED, [])

import random
from dataclasses import replace

import pytest

from protocol.messages import ReceiverState
from receiver.arming import Arming
from receiver.session import ReceiverSession
from slatecast.seat.events import SessionView
from slatecast.seat.session_view import view_of
from tests.sample_messages import announcement
from tests.simulator.image import draw_image

ARMING_VIEW = SessionView(
    tsi="0123456789abcdef",
    image="classroom",
    version=3,
    target="/dev/sda",
    state=ReceiverState.ARMING,
    stage="arming",
    done=None,
    seconds_left=10,
    may_be_stopped=True,
)


def a_session(countdown: float) -> ReceiverSession:
    return ReceiverSession(
        announcement(),
        receiver_id="0" * 32,
        seat="pc-14",
        target="/dev/sda",
        arming=Arming(countdown, 100.0, is_held=False),
        rng=random.Random(1),
        now=100.0,
    )


def test_counting_down() -> None:
    session = a_session(10.0)
    assert view_of(session, 100.0) == ARMING_VIEW
    assert view_of(session, 103.5) == replace(ARMING_VIEW, seconds_left=7)


def test_writing_and_checking() -> None:
    image = draw_image(random.Random(1), 20, 0.5)
    session = a_session(0.0)
    session.arming.begin_writing(100.0, proved_blocks=1)
    session.manifest_loaded(image.manifest, 101.0)
    total = session.blocks_total
    session.blocks_found(list(range(total // 4)), 102.0)
    seen = view_of(session, 103.0)
    assert (seen.stage, seen.may_be_stopped) == ("receiving", False)
    assert seen.done == pytest.approx((total // 4) / total)
    session.counters.blocks_to_scan, session.counters.blocks_scanned = 20, 10
    seen = view_of(session, 103.0)
    assert (seen.stage, seen.done) == ("scanning", 0.5)


def test_why_it_ended() -> None:
    session = a_session(10.0)
    assert session.abort(101.0)
    seen = view_of(session, 101.0)
    assert (seen.state, seen.reason, seen.may_be_stopped) == (ReceiverState.REFUSED, "stopped at the seat", False)

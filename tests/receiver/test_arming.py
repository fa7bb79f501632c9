import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from protocol.errors import RefusedError, SessionStateError
from protocol.link.mqtt import BrokerAddress
from protocol.messages import ReceiverReport, ReceiverState
from receiver.arming import STOPPED, Arming
from receiver.config import ReceiverConfig
from receiver.events import ObjectCompleted
from receiver.service import Receiver
from tests.receiver.seat import MANIFEST_K, Seat, manifest_of, receiving_seat
from tests.receiver.test_config import LOOPBACK
from tests.sample_messages import OTHER_TSI, TSI
from tests.sample_trust import enrolment, identity

COUNTDOWN = 10.0

ROOT = Path(__file__).parents[2]


# --- the gate ----------------------------------------------------------------------------------------------------


def test_nothing_is_written_before_the_countdown_is_over() -> None:
    arming = Arming(COUNTDOWN, 100.0, is_held=False)
    for now in (100.0, 105.0, 109.999):
        assert not arming.is_over(now)
        with pytest.raises(SessionStateError, match="before it may be"):
            arming.begin_writing(now, proved_blocks=1)
    assert not arming.has_begun
    arming.begin_writing(110.0, proved_blocks=1)
    assert arming.has_begun


def test_nothing_is_written_before_one_block_is_proved() -> None:
    arming = Arming(0.0, 0.0, is_held=False)
    with pytest.raises(SessionStateError, match="before one block was proved"):
        arming.begin_writing(0.0, proved_blocks=0)
    assert not arming.has_begun


@pytest.mark.parametrize("stopped_at", [0.0, 5.0, COUNTDOWN, 1000.0])
def test_nothing_is_ever_written_after_an_abort(stopped_at: float) -> None:
    arming = Arming(COUNTDOWN, 0.0, is_held=False)
    assert arming.may_be_stopped
    assert arming.abort()
    for now in (stopped_at, COUNTDOWN, 1e9):
        with pytest.raises(RefusedError, match=STOPPED):
            arming.begin_writing(now, proved_blocks=1)
    assert not arming.has_begun
    assert not arming.may_be_stopped
    assert not arming.abort()


def test_an_abort_after_the_first_write_is_too_late() -> None:
    arming = Arming(0.0, 0.0, is_held=False)
    arming.begin_writing(0.0, proved_blocks=1)
    assert not arming.may_be_stopped
    assert not arming.abort()
    arming.begin_writing(1.0, proved_blocks=1)


def test_of_an_abort_and_a_write_at_the_same_moment_one_wins() -> None:
    wins = set()
    with ThreadPoolExecutor(2) as threads:
        for _ in range(300):
            arming, gate = Arming(0.0, 0.0, is_held=False), Barrier(2)

            def write(arming: Arming = arming, gate: Barrier = gate) -> bool:
                gate.wait()
                try:
                    arming.begin_writing(0.0, proved_blocks=1)
                except RefusedError:
                    return False
                return True

            def abort(arming: Arming = arming, gate: Barrier = gate) -> bool:
                gate.wait()
                return arming.abort()

            wrote, stopped = threads.submit(write), threads.submit(abort)
            assert wrote.result() is not stopped.result()
            wins.add(wrote.result())
    assert wins


def test_the_countdown_can_begin_again_when_it_is_shown() -> None:
    arming = Arming(COUNTDOWN, 0.0, is_held=False)
    arming.restart(30.0)
    assert not arming.is_over(39.9)
    assert arming.is_over(40.0)


def test_the_seconds_that_are_left_are_never_too_few() -> None:
    arming = Arming(COUNTDOWN, 0.0, is_held=False)
    assert [arming.seconds_left(now) for now in (0.0, 0.1, 3.0, 3.5, 9.99, 10.0, 11.0)] == [10, 10, 7, 7, 1, 0, 0]
    assert arming.words(3.0) == "counting down: 7 s to stop it at the seat"


def test_there_is_one_gate_and_one_way_to_the_disk() -> None:
    """A second place that opens a disk for writing would have to pass the gate as well: look at it before this test."""
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for package in ("receiver", "slatecast")
        for path in (ROOT / package).rglob("*.py")
    }

    def places(text: str) -> list[str]:
        return [name for name, source in sorted(sources.items()) for _ in range(source.count(text))]

    assert places("DiskDevice.open(") == ["receiver/disk_work.py"]
    assert places("DiskDevice.open_to_read(") == ["receiver/disk_work.py"]
    assert places("os.O_RDWR") == ["receiver/blockdevice.py", "slatecast/cli/seat.py"]  # the second is a terminal
    assert places(" Arming(") == ["receiver/active_session.py"]
    assert places("is_held=not ordered.order.ticket.may_write") == ["receiver/active_session.py"]
    assert places("arming.release(") == ["receiver/standing.py"]
    assert places("session.released(") == ["receiver/active_session.py"]
    assert places("active.release(ordered.order.ticket)") == ["receiver/service.py"]
    assert places("DiskWriter(") == ["receiver/deployment.py"]
    assert places(".begin_writing(") == ["receiver/disk_work.py"]
    gate, opening = "        self._begin_writing(len(self._proved))\n", "DiskWriter(self._open_device(), manifest)"
    assert f"{gate}        writer = {opening}" in sources["receiver/deployment.py"]


def test_what_is_done_to_a_disk_afterwards_has_one_way_to_it() -> None:
    """The steps of a configuration write without this gate: no other disk is theirs than one that was just verified."""
    sources = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "slatecast").rglob("*.py")}
    sources |= {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "receiver").glob("*.py")}
    callers = {
        text: [name for name, source in sorted(sources.items()) if text in source]
        for text in ("receiver.configure", "configure_disk(", "errands.configure(", "self._configure(")
    }
    assert callers == {
        "receiver.configure": ["slatecast/seat/configuring.py"],
        "configure_disk(": ["slatecast/seat/configuring.py", "slatecast/seat/errands.py"],
        "errands.configure(": ["slatecast/seat/life.py"],
        "self._configure(": ["slatecast/seat/life.py"],
    }
    life = sources["slatecast/seat/life.py"]
    assert life.count("self._configure(") == life.count("errands.configure(") == 1
    judged, configured = "if outcome.state is ReceiverState.VERIFIED:", "await self._configure("
    assert re.search(rf"{re.escape(judged)}\n +{re.escape(configured)}", life)


# --- the session ---------------------------------------------------------------------------------------------------


def states(seat: Seat, now: float) -> list[tuple[ReceiverState, str]]:
    return [(each.state, each.reason) for each in seat.messages(now) if isinstance(each, ReceiverReport)]


def test_a_seat_counts_down_is_ready_then_and_says_so_at_once() -> None:
    seat = Seat(countdown=COUNTDOWN)
    assert states(seat, 0.0) == [(ReceiverState.ARMING, "counting down: 10 s to stop it at the seat")]
    assert states(seat, 9.5) == [(ReceiverState.ARMING, "counting down: 1 s to stop it at the seat")]
    assert seat.session.next_timeout() <= COUNTDOWN
    assert states(seat, COUNTDOWN) == [(ReceiverState.READY, "")]


def test_without_a_countdown_a_seat_is_ready_at_once() -> None:
    assert states(Seat(), 0.0) == [(ReceiverState.READY, "")]


def test_while_it_counts_down_the_manifest_is_kept_and_not_loaded() -> None:
    seat = Seat(countdown=COUNTDOWN)
    seat.messages(0.0)
    assert seat.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K, now=1.0)
    seat.store(1.0)
    seat.messages(COUNTDOWN - 0.1)
    assert seat.events() == []
    with pytest.raises(SessionStateError):
        seat.session.manifest_loaded(manifest_of(1), 2.0)
    seat.messages(COUNTDOWN)
    assert seat.events() == [ObjectCompleted(0)]
    seat.session.manifest_loaded(manifest_of(1), COUNTDOWN)


def test_a_manifest_that_comes_after_the_countdown_is_loaded_at_once() -> None:
    seat = Seat(countdown=COUNTDOWN)
    seat.messages(COUNTDOWN)
    assert seat.events() == []
    seat.load_manifest(1, COUNTDOWN + 1.0)
    assert seat.session.state is ReceiverState.RECEIVING


@pytest.mark.parametrize("pressed_at", [1.0, COUNTDOWN + 1.0])
def test_a_seat_that_is_stopped_is_refused_and_says_so(pressed_at: float) -> None:
    seat = Seat(countdown=COUNTDOWN)
    seat.messages(pressed_at)
    assert seat.session.abort(pressed_at)
    assert states(seat, pressed_at) == [(ReceiverState.REFUSED, STOPPED)]
    assert not seat.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K, now=pressed_at)
    assert not seat.session.abort(pressed_at)
    assert states(seat, COUNTDOWN + 60.0) == []  # nobody is there to hear it, and it has left


def test_a_seat_whose_turn_at_the_disk_had_come_can_still_be_stopped() -> None:
    seat = Seat(countdown=COUNTDOWN)
    seat.messages(COUNTDOWN)
    assert seat.arrive(0, range(MANIFEST_K), toi=0, k=MANIFEST_K, now=COUNTDOWN)
    seat.store(COUNTDOWN)
    assert seat.events() == [ObjectCompleted(0)]
    assert seat.session.abort(COUNTDOWN)
    with pytest.raises(RefusedError) as caught:
        seat.session.arming.begin_writing(COUNTDOWN, proved_blocks=1)
    seat.session.refused(str(caught.value), COUNTDOWN)  # as the worker says it; it is known already
    assert states(seat, COUNTDOWN) == [(ReceiverState.REFUSED, STOPPED)]


def test_after_the_first_write_nothing_can_be_stopped() -> None:
    seat = receiving_seat(1)
    seat.session.arming.begin_writing(0.0, proved_blocks=1)
    assert not seat.session.abort(1.0)
    assert seat.session.state is ReceiverState.RECEIVING


def test_an_unfit_target_is_refused_while_it_counts_down() -> None:
    seat = Seat(countdown=COUNTDOWN)
    seat.session.refused("too small", 0.0)
    assert states(seat, 0.0) == [(ReceiverState.REFUSED, "too small")]
    assert not seat.session.abort(1.0)


def test_a_session_that_was_left_has_nothing_to_stop() -> None:
    seat = Seat(countdown=1.0)
    seat.messages(1000.0)  # the sender has fallen silent
    assert not seat.session.abort(1000.0)


def test_who_comes_back_to_a_session_that_has_begun_is_not_warned_again() -> None:
    who = identity()
    receiver = Receiver(
        ReceiverConfig("seat", "/dev/sda", LOOPBACK), who, enrolment(who, BrokerAddress("broker", 1883))
    )
    assert not receiver._has_begun(TSI)
    receiver.session = Seat().session
    assert not receiver._has_begun(TSI)
    receiver.session.arming.begin_writing(0.0, proved_blocks=1)
    assert receiver._has_begun(TSI)
    assert not receiver._has_begun(OTHER_TSI)


def test_keys_and_time_in_any_order_never_lose_the_abort() -> None:
    rng = random.Random(20261121)
    for _ in range(300):
        seat, now = Seat(countdown=rng.choice([0.0, 0.3, 2.0])), 0.0
        stopped_at = None
        for _ in range(12):
            now += rng.uniform(0.0, 0.5)
            if rng.random() < 0.2 and seat.session.abort(now):
                stopped_at = now
            seat.messages(now)
            if rng.random() < 0.3:
                try:
                    seat.session.arming.begin_writing(now, proved_blocks=1)
                except RefusedError:
                    assert stopped_at is not None
                except SessionStateError:
                    assert seat.session.state in (ReceiverState.ARMING, ReceiverState.REFUSED)
                else:
                    assert stopped_at is None
                    break
        assert (seat.session.state is ReceiverState.REFUSED) is (stopped_at is not None)

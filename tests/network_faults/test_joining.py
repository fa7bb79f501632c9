"""Who comes, when, and who commands: rows 43 to 45 of the table of faults.

That nobody comes (row 43), and that one host takes part in two casts side by side (row 15), is told in
tests/end_to_end/test_bad_input.py and tests/end_to_end/test_namespaces.py.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from protocol.messages import ReceiverReport, SessionPhase, SessionStatus
from tests.brokers import Mosquitto
from tests.end_to_end.room import INTERRUPTED, Room, is_bootable
from tests.lab import missing_requirement
from tests.network_faults.classroom import CROWD, IMAGE_BYTES, LIMIT, Classroom

pytestmark = [pytest.mark.system, pytest.mark.slow]

needs_lab = pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")


@needs_lab
def test_row_43_a_crowd_that_joins_in_the_same_second(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(CROWD, size=IMAGE_BYTES // 2)
    outcome = rehearsal.fill().prove()
    print(f"{CROWD} seats in {outcome.report['seconds']} s, overhead {outcome.overhead:.1%}")
    assert len(outcome.seats) == CROWD


@needs_lab
def test_row_44_a_latecomer_at_half_time(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(2)
    early, late = rehearsal.lab.receivers
    rehearsal.fill(early, rate="8M")  # a process that starts and enrols needs some of the half that is left
    rehearsal.until_share(rehearsal.watch(), early, 0.5)
    rehearsal.seat(late)
    outcome = rehearsal.prove()
    print(f"overhead {outcome.overhead:.0%}")
    assert outcome.overhead <= 1.02, "more than one further pass"


@needs_lab
def test_row_44_a_latecomer_when_the_first_pass_is_over(classroom: Callable[..., Classroom]) -> None:
    """The other seat sleeps meanwhile, so that the session cannot end before the latecomer is there."""
    rehearsal = classroom(2)
    early, late = rehearsal.lab.receivers
    receiver = rehearsal.fill(early).receivers[early.name]
    watch = rehearsal.watch()
    blocks = rehearsal.until_share(watch, early, 0.1).blocks_total
    os.kill(receiver.pid, signal.SIGSTOP)
    watch.until(SessionStatus, lambda status: status.phase is SessionPhase.DISK and status.position >= 0.99 * blocks)
    rehearsal.seat(late)
    watch.until(ReceiverReport, lambda report: report.seat == late.name and report.blocks_total > 0)
    os.kill(receiver.pid, signal.SIGCONT)
    outcome = rehearsal.prove()
    print(f"overhead {outcome.overhead:.0%}")
    assert outcome.overhead <= 1.02, "more than one further pass"


class TestOperators:
    """Row 45."""

    @pytest.mark.parametrize("times", [2, 20], ids="row 45: {} times".format)
    def test_ctrl_c_again_and_again_ends_a_cast_once(self, room: Room, times: int) -> None:
        target = room.target("seat")
        cast = room.cast(room.source(), "--rate", "16M")
        watch = room.watch(cast.broker())
        receiver = room.receive(target, cast.door())
        watch.until(SessionStatus, lambda status: status.phase is SessionPhase.DISK and status.position > 2)
        for _ in range(times):
            with suppress(ProcessLookupError):
                os.killpg(cast.pid, signal.SIGINT)
        assert cast.complaint(INTERRUPTED) == "interrupted"
        assert receiver.finish() == 4
        assert not is_bootable(target)

    @pytest.mark.asyncio
    async def test_row_45_the_same_cast_started_twice_serves_every_seat(
        self, room: Room, mosquitto: Callable[..., Mosquitto]
    ) -> None:
        """Their broker tells every receiver of both: it was let in at one door, and both are the same director."""
        broker = mosquitto()
        await broker.start()
        source = room.source()
        casts = [
            room.cast(source, "--broker", broker.address, "--expect", 2, "--library", room.folder / f"library-{number}")
            for number in range(2)
        ]
        for cast in casts:
            cast.errors.until("waiting for 2 seats")
        targets = [room.target(f"seat-{number}") for number in range(2)]
        argv = ("receive", "--server", casts[0].door(), "--interface", "lo")
        receivers = [room.start(*argv, "--target", target, "--seat", target.stem) for target in targets]
        assert [cast.finish(LIMIT) for cast in casts] == [0, 0], [cast.errors.text for cast in casts]
        for receiver in receivers:
            receiver.interrupt()
        content = source.read_bytes()
        assert [target.read_bytes() == content for target in targets] == [True, True]

"""Ctrl-C at any moment, and the sudden death of a process: what it leaves behind, and what the others make of it."""

import fcntl

import pytest

from protocol.messages import ReceiverReport, ReceiverState, SessionPhase, SessionStatus
from tests.broadcaster.library.disks import MIB, tree
from tests.end_to_end.room import OLD_BYTE, Room, free_port, is_bootable, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

SLOW = "16M"
"""[bit/s] 8 MiB take 2.8 s: long enough to be interrupted for certain, since what was seen was the beginning."""


class TestImageAdd:
    def test_while_it_reads(self, room: Room) -> None:
        source = room.source(size=64 * MIB)
        room.add(room.source("good"), "good")
        before = tree(room.library)
        # Level 19 takes some ten seconds for what is there to be packed.
        adding = room.start("image", "add", source, "--name", "lab", "--level", 19, "--library", room.library)
        incoming = room.library / "incoming"
        wait_until(lambda: any(incoming.iterdir()), "the first chunk")
        assert adding.interrupt() == "interrupted"
        assert tree(room.library) == before

    def test_while_it_waits_for_another_command(self, room: Room) -> None:
        room.add(room.source("good"), "good")
        before = tree(room.library)
        with (room.library / "write.lock").open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            adding = room.start("image", "add", room.source(), "--name", "lab", "--library", room.library)
            adding.errors.until("^waiting for another slatecast command")
            assert adding.interrupt() == "interrupted"
        assert tree(room.library) == before


class TestCast:
    def test_while_it_waits_for_seats(self, room: Room) -> None:
        target = room.target("seat")
        cast = room.cast(room.source(), "--expect", 2)
        watch = room.watch(cast.broker())
        receiver = room.receive(target, cast.door())
        watch.until(ReceiverReport, lambda report: report.state is ReceiverState.READY)
        assert cast.interrupt() == "interrupted"
        assert receiver.finish() == 4
        assert "was not written: the broadcaster ended the session" in receiver.errors.text
        assert set(target.read_bytes()) == {OLD_BYTE}

    def test_while_it_sends(self, room: Room) -> None:
        target = room.target("seat")
        cast = room.cast(room.source(), "--rate", SLOW)
        watch = room.watch(cast.broker())
        receiver = room.receive(target, cast.door())
        watch.until(SessionStatus, lambda status: status.phase is SessionPhase.DISK and status.position > 2)
        assert cast.interrupt() == "interrupted"
        watch.until(SessionStatus, lambda status: status.phase is SessionPhase.ENDED)
        assert receiver.finish() == 4
        assert "is incomplete: the broadcaster ended the session" in receiver.errors.text
        assert not is_bootable(target)


class TestReceive:
    def test_while_it_waits_for_the_broadcaster(self, room: Room) -> None:
        target = room.target("seat")
        receiver = room.receive(target, f"127.0.0.1:{free_port()}")
        receiver.errors.until("^waiting for the broadcaster")
        assert receiver.interrupt() == "interrupted"
        assert set(target.read_bytes()) == {OLD_BYTE}

    def test_while_it_waits_for_the_start_and_another_takes_the_seat(self, room: Room) -> None:
        source, target = room.source(), room.target("seat")
        cast = room.cast(source, "--expect", 2)
        watch = room.watch(cast.broker())
        receiver = room.receive(target, cast.door(), seat="early")
        watch.until(ReceiverReport)
        assert receiver.interrupt() == "interrupted"
        assert set(target.read_bytes()) == {OLD_BYTE}

    def test_while_it_receives_and_the_others_go_on(self, room: Room) -> None:
        source, broken, good = room.source(), room.target("broken"), room.target("good")
        cast = room.cast(source, "--expect", 2, "--rate", SLOW)
        watch = room.watch(cast.broker())
        receivers = {disk.stem: room.receive(disk, cast.door(), seat=disk.stem) for disk in (broken, good)}
        watch.until(
            ReceiverReport,
            lambda report: report.seat == "broken" and 0 < report.blocks_missing < report.blocks_total,
        )
        assert receivers["broken"].interrupt() == "interrupted"
        assert not is_bootable(broken)
        assert receivers["good"].finish() == 0
        assert good.read_bytes() == source.read_bytes()


def test_a_killed_broadcaster_leaves_the_disk_unbootable_and_the_same_command_completes_it(room: Room) -> None:
    """The receiver stays as it is; tests/network_faults/test_broadcaster_deaths.py tells what that costs."""
    source, target = room.source(), room.target("seat")
    cast = room.cast(source, "--rate", SLOW)
    session = cast.errors.until("^session ([0-9a-f]{16}):")[1]
    watch = room.watch(cast.broker())
    receiver = room.receive(target, cast.door())
    watch.until(SessionStatus, lambda status: status.phase is SessionPhase.DISK and status.position > 2)
    cast.kill()
    assert not is_bootable(target)
    successor = room.cast(source, "--rate", SLOW)
    successor.errors.until(f"^resuming session {session}, which ended without a farewell")
    assert [successor.finish(), receiver.finish()] == [0, 0]
    assert target.read_bytes() == source.read_bytes()


def test_a_killed_cast_is_forgotten_when_a_new_one_is_asked_for(room: Room) -> None:
    source, target = room.source(), room.target("seat")
    killed = room.cast(source, "--expect", 2)
    receiver = room.receive(target, killed.door())
    room.watch(killed.broker()).until(ReceiverReport)
    killed.kill()
    cast = room.cast(source, "--new")
    assert "resuming" not in cast.errors.text
    assert cast.errors.until("^session ([0-9a-f]{16}):")[1] != killed.errors.until("^session ([0-9a-f]{16}):")[1]
    cast.interrupt()
    receiver.interrupt()
    assert set(target.read_bytes()) == {OLD_BYTE}

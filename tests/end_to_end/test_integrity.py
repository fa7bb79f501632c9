"""A library that rots: not one wrong byte is sent, and the operator reads which chunk it is."""

from pathlib import Path

import pytest

from broadcaster.library.library import Library
from protocol.messages import ReceiverReport, SessionPhase, SessionStatus
from tests.end_to_end.room import Room, is_bootable

pytestmark = [pytest.mark.system, pytest.mark.slow]

DAMAGED = 5


@pytest.mark.parametrize("damage", ["overwritten", "cut", "gone"])
def test_a_chunk_that_was_damaged_before_the_cast_is_not_sent(room: Room, damage: str) -> None:
    chunk, offset = last_chunk(room, room.add(room.source()))
    match damage:
        case "overwritten":
            overwrite(chunk)
        case "cut":
            with chunk.open("r+b") as file:
                file.truncate(1000)
        case "gone":
            chunk.unlink()
    cast = room.cast("lab")
    target = room.target("seat")
    receiver = room.receive(target, cast.broker())
    complaint = cast.complaint(DAMAGED)
    assert complaint.startswith("image lab, version 1: chunk ")
    assert f"at byte {offset} is {'missing' if damage == 'gone' else 'damaged'}" in complaint
    assert receiver.finish() == 4
    assert not is_bootable(target)


def test_a_chunk_that_is_damaged_while_the_cast_runs_is_not_sent(room: Room) -> None:
    chunk, offset = last_chunk(room, room.add(room.source()))
    cast = room.cast("lab", "--rate", "16M")
    watch = room.watch(cast.broker())
    target = room.target("seat")
    receiver = room.receive(target, cast.broker())
    watch.until(SessionStatus, lambda status: status.phase is SessionPhase.DISK and status.position > 1)
    overwrite(chunk)
    assert f"at byte {offset} is damaged: expected digest" in cast.complaint(DAMAGED)
    ended = watch.until(SessionStatus, lambda status: status.phase is SessionPhase.ENDED)
    assert 1 < ended.position < watch.until(ReceiverReport, lambda report: report.blocks_total > 0).blocks_total
    assert receiver.finish() == 4
    assert not is_bootable(target)


def last_chunk(room: Room, name: str) -> tuple[Path, int]:
    """The file of the last chunk of an image, and where on the disk its bytes belong."""
    manifest = Library.open(room.library).load(name)
    chunk = manifest[len(manifest) - 1]
    digest = chunk.raw_digest.hex()
    return room.library / "chunks" / digest[:2] / digest[2:], chunk.offset


def overwrite(chunk: Path) -> None:
    """Turn a few bytes in the middle."""
    content = bytearray(chunk.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 16] = bytes(byte ^ 0xFF for byte in content[middle : middle + 16])
    chunk.write_bytes(content)

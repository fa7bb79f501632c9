"""A library that rots: not one wrong byte is sent, and the operator reads which chunk it is."""

import pytest

from tests.end_to_end.room import Room, is_bootable
from tests.end_to_end.rot import chunk_file, load, overwrite

pytestmark = [pytest.mark.system, pytest.mark.slow]

DAMAGED = 5


@pytest.mark.parametrize("damage", ["overwritten", "cut", "gone"])
def test_a_chunk_that_was_damaged_before_the_cast_is_not_sent(room: Room, damage: str) -> None:
    """What happens to one that is damaged during the cast: tests/network_faults/test_rot.py."""
    manifest = load(room.library, room.add(room.source()))
    last = len(manifest) - 1
    chunk = chunk_file(room.library, manifest, last)
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
    receiver = room.receive(target, cast.door())
    complaint = cast.complaint(DAMAGED)
    which = f"1 block is damaged in the library, first {last}: image lab, version 1: chunk "
    assert complaint.startswith(f"1 of 1 seats are not verified: seat incomplete ({which}")
    word = "missing" if damage == "gone" else "damaged"
    assert f"at byte {manifest[last].offset} is {word}: expected digest" in complaint
    assert receiver.finish() == 4
    assert not is_bootable(target)

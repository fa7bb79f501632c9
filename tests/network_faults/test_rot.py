"""An image that rots on the server while it is cast: row 19 of the table of faults."""

from collections.abc import Callable

import pytest

from protocol.messages import SessionPhase, SessionStatus
from tests.broadcaster.library.disks import MIB
from tests.end_to_end.room import OLD_BYTE
from tests.end_to_end.rot import chunk_file, load, overwrite
from tests.lab import missing_requirement
from tests.network_faults.classroom import LIMIT, Classroom

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

DAMAGED, UNFINISHED = 5, 4


def test_row_19_a_chunk_that_rots_is_never_sent_and_all_else_is(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(3)
    reimaged = rehearsal.lab.receivers[2]
    content = rehearsal.source.read_bytes()
    yesterday = rehearsal.targets[reimaged.name] = rehearsal.room.target(reimaged.name, rehearsal.size)
    yesterday.write_bytes(content)
    with yesterday.open("r+b") as disk:
        disk.seek(2 * MIB)
        disk.write(bytes([OLD_BYTE]) * MIB)
    cast = rehearsal.fill().running
    rehearsal.watch().until(SessionStatus, lambda status: status.phase is SessionPhase.DISK and status.position > 1)
    manifest = load(rehearsal.room.library, rehearsal.source.stem)
    rotten = len(manifest) - 2
    overwrite(chunk_file(rehearsal.room.library, manifest, rotten))
    where = manifest[rotten].offset

    assert cast.finish(LIMIT) == DAMAGED, cast.errors.text
    assert f"at byte {where} is damaged: expected digest" in cast.errors.text
    codes = [rehearsal.receivers[host.name].finish(LIMIT) for host in rehearsal.lab.receivers]
    assert codes == [UNFINISHED, UNFINISHED, 0]
    assert yesterday.read_bytes() == content, "it had that chunk"
    outcome = rehearsal.outcome()
    assert outcome.seats[reimaged.name]["verified"]
    for host in rehearsal.lab.receivers[:2]:
        seat = outcome.seats[host.name]
        assert (seat["outcome"], seat["verified"]) == ("incomplete", False)
        assert f"1 block is damaged in the library, first {rotten}: " in seat["reason"]
        disk_now = rehearsal.targets[host.name].read_bytes()
        for sbn in range(len(manifest)):
            entry = manifest[sbn]
            if entry.offset < MIB or entry.offset + entry.raw_length > rehearsal.size - MIB:
                continue  # the edges are written when all is complete
            span = slice(entry.offset, entry.offset + entry.raw_length)
            if sbn == rotten:
                assert set(disk_now[span]) <= {OLD_BYTE, 0}, "it was sent"
            else:
                assert disk_now[span] == content[span], f"block {sbn} was not sent"

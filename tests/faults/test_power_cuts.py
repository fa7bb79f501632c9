"""The power goes at any moment of a cast: the disk is untouched, or does not boot, or is complete; PXE again mends it.

One whole real cast is recorded write by write below the operating system, and replayed up to hundreds of moments:
all flush boundaries, and between them prefixes, torn last writes, and any choice of what was not flushed yet, since a
disk's cache keeps no order. Over 200 moments in ``make test``; with SLATECAST_FAULTS=full 500 or more.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from protocol.manifest import CHUNK_SIZE
from tests.broadcaster.library.disks import MIB, SECTOR
from tests.end_to_end.room import BOOT_SIGNATURE, Room
from tests.faults.sizes import IS_FULL
from tests.faults.storage_daemon import FaultyDisk, logging
from tests.faults.write_log import Cut, Write, power_cuts, read_epochs

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900 if IS_FULL else 120)]

DISK_SIZE = 24 * MIB
CUTS_PER_EPOCH = 1600 if IS_FULL else 240
LEAST_CUTS = 500 if IS_FULL else 200
RESUMED_DISKS = 10 if IS_FULL else 3
SEED = 24
"""Of the choice of moments."""
UNNECESSARY = 3 * MIB
"""What may be fetched besides what the disk does not hold: the edges, which were blanked, and a little repair."""
MARKER = b"slatecast: INCOMPLETE DISK"


@dataclass(frozen=True)
class Recording:
    """One cast that went well, and each write of it."""

    source: bytes = field(repr=False)
    old: bytes = field(repr=False)
    epochs: list[list[Write]] = field(repr=False)

    def cuts(self) -> Iterator[Cut]:
        return power_cuts(self.old, self.epochs, CUTS_PER_EPOCH, SEED)

    def state_of(self, disk: bytes | bytearray) -> str:
        """What firmware and operator find; anything else is a broken promise."""
        if disk == self.old:
            return "untouched"
        if disk[510:SECTOR] == BOOT_SIGNATURE:
            return "complete" if disk == self.source else "BOOTS AND IS WRONG"
        return "marked incomplete" if disk.startswith(MARKER) else "neither boots nor says why"


@pytest.fixture(params=["file", "block device"])
def recording(request: pytest.FixtureRequest, room: Room, disks: ExitStack) -> Recording:
    """A cast to a bootable old disk; over a block device the writes come from the page cache, in the kernel's order."""
    source, old = room.source(size=DISK_SIZE, seed=1), room.source("old", size=DISK_SIZE, seed=2)
    medium, log = room.folder / "seat.disk", room.folder / "log"
    before = old.read_bytes()
    medium.write_bytes(before)
    with FaultyDisk.open(medium, logging(log), is_loop_device=request.param == "block device") as disk:
        cast = room.cast(source)
        receiver = room.receive(disk.path, cast.door())
        assert (receiver.finish(60), cast.finish()) == (0, 0)
    assert medium.read_bytes() == source.read_bytes()
    return Recording(source.read_bytes(), before, read_epochs(log))


def test_after_a_power_cut_at_any_moment_no_disk_boots_that_is_not_complete(recording: Recording) -> None:
    states: dict[str, str] = {}
    for cut in recording.cuts():
        states[cut.name] = recording.state_of(cut.disk)
    found = Counter(states.values())
    print(f"seed {SEED}: {len(states)} moments, {len(recording.epochs)} flushes: {dict(found)}")
    assert found.keys() == {"untouched", "marked incomplete", "complete"}, states
    assert len(states) >= LEAST_CUTS
    first, *_, last = states.values()
    assert (first, last) == ("untouched", "complete")


def test_the_last_write_torn_in_any_way_leaves_a_marked_or_a_complete_disk(recording: Recording) -> None:
    *earlier, last = recording.epochs
    assert len(last) == 1, "sector 0 is alone between two flushes"
    flushed = bytearray(recording.old)
    for epoch in earlier:
        for write in epoch:
            write.apply(flushed)
    found = set()
    sectors = len(last[0].data) // SECTOR
    for choice in range(2 ** min(sectors, 8)):
        disk = bytearray(flushed)
        for number in range(sectors):
            if choice >> number & 1:
                at = number * SECTOR
                Write(last[0].offset + at, last[0].data[at : at + SECTOR]).apply(disk)
        found.add(recording.state_of(disk))
    assert found == {"marked incomplete", "complete"}


@pytest.mark.parametrize("recording", ["block device"], indirect=True)
def test_a_second_cast_completes_a_disk_after_a_power_cut_and_fetches_little(recording: Recording, room: Room) -> None:
    incomplete = [cut.name for cut in recording.cuts() if recording.state_of(cut.disk) == "marked incomplete"]
    chosen = set(random.Random(SEED).sample(incomplete, RESUMED_DISKS))
    for number, cut in enumerate(cut for cut in recording.cuts() if cut.name in chosen):
        target, report_path = room.folder / f"cut-{number}.disk", room.folder / f"report-{number}.json"
        target.write_bytes(cut.disk)
        cast = room.cast(room.folder / "source.img", "--report", report_path)
        receiver = room.receive(target, cast.door(), seat=f"cut-{number}")
        assert receiver.finish(60) == 0, f"{cut.name}: {receiver.errors.text}"
        assert cast.finish() == 0, cut.name
        assert target.read_bytes() == recording.source, cut.name
        unwritten = bytes_unwritten(cut.disk, recording.source)
        fetched = json.loads(report_path.read_text())["seats"][0]["bytes_received"]
        print(f"{cut.name}: {unwritten} bytes were not written, {fetched} fetched")
        assert fetched <= unwritten * 1.05 + UNNECESSARY, cut.name


def bytes_unwritten(disk: bytes | bytearray, source: bytes) -> int:
    """Raw bytes of the chunks that the disk does not hold and that are not zero."""
    places = range(0, len(source), CHUNK_SIZE)
    chunks = [(disk[at : at + CHUNK_SIZE], source[at : at + CHUNK_SIZE]) for at in places]
    return sum(len(wanted) for held, wanted in chunks if held != wanted and any(wanted))

"""Disks that go wrong in one way each, and what may become of a seat that has one."""

import random

from protocol.digests import Buffer
from protocol.messages import ReceiverState
from receiver.disk_layout import DiskLayout
from tests.receiver.memory_device import SECTOR, MemoryDevice
from tests.simulator.image import CHUNK_SIZE, SimulatedImage
from tests.simulator.schedule import Schedule

FAULTY_RATIO = 0.25


class SimulatedDisk(MemoryDevice):
    """A disk in memory whose sectors may also lie just once."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.lies_once: set[int] = set()
        """writing one of these sectors flips a bit the first time"""
        self.fault = ""
        """in words, empty for a good disk"""
        self.allowed_states = {ReceiverState.VERIFIED}
        """what a seat with this disk may come to"""

    def write_at(self, offset: int, data: Buffer) -> None:
        lies = self.lies_once.intersection(self._sectors(offset, len(data)))
        self.lies_once -= lies
        self.lying_sectors |= lies
        super().write_at(offset, data)
        self.lying_sectors -= lies


def draw_disk(rng: random.Random, schedule: Schedule, image: SimulatedImage, extra_length: int) -> SimulatedDisk:
    """A disk for this image, longer by ``extra_length``; one of four has a fault in a sector that is used."""
    disk = SimulatedDisk(len(image.disk) + extra_length)
    if rng.random() >= FAULTY_RATIO:
        return disk
    offset = rng.choice(list(image.manifest)).offset
    sector = (offset + rng.randrange(CHUNK_SIZE)) // SECTOR
    happens_at = rng.uniform(0.0, 5.0)
    is_edge = DiskLayout(image.manifest.header, disk.size).deferred_area(offset) is not None
    disk.fault = rng.choice(["bad sector", "sector goes bad", "sync fails", "sector lies", "sector lies once"])
    match disk.fault:
        case "bad sector":
            disk.allowed_states = {ReceiverState.FAILED}
            disk.bad_sectors.add(sector)
        case "sector goes bad":  # perhaps when all is done
            disk.allowed_states = {ReceiverState.FAILED, ReceiverState.VERIFIED}
            schedule.after(happens_at, lambda: disk.bad_sectors.add(sector))
        case "sync fails":  # perhaps none is left to fail, or the machine restarts and tries again
            disk.allowed_states = {ReceiverState.FAILED, ReceiverState.VERIFIED}
            schedule.after(happens_at, lambda: setattr(disk, "fails_next_sync", True))
        case "sector lies":
            disk.allowed_states = {ReceiverState.DAMAGED}
            disk.lying_sectors.add(sector)
        case "sector lies once":  # where blocks are written when they come, the block is mended
            if is_edge:
                disk.allowed_states = {ReceiverState.DAMAGED, ReceiverState.VERIFIED}
            disk.lies_once.add(sector)
    return disk

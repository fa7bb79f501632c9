"""Disks that go wrong in one way each, old contents of disks, and what may become of a seat that has one."""

import random
from collections.abc import Callable
from mmap import mmap

from protocol.digests import Buffer
from protocol.errors import DiskError
from protocol.messages import ReceiverState
from receiver.disk_layout import DiskLayout
from tests.receiver.memory_device import SECTOR, MemoryDevice
from tests.simulator.image import CHUNK_SIZE, SimulatedImage
from tests.simulator.schedule import Schedule

FAULTY_RATIO = 0.25


class SimulatedDisk(MemoryDevice):
    """A disk in memory whose sectors may also lie just once, or only when they leave the cache."""

    def __init__(self, size: int, content: bytes = b"") -> None:
        super().__init__(size, content=content)
        self.initial = self.platter()
        """what was on it before anybody cast to it"""
        self.lies_once: set[int] = set()
        """writing one of these sectors flips a bit the first time"""
        self.lies_on_sync: set[int] = set()
        """these sectors read well from the cache, and have a bit flipped when they reach the platter"""
        self.on_read: Callable[[], None] = lambda: None
        """called before each read: what else happens at that time"""
        self.on_write: Callable[[], None] = lambda: None
        """called before each write, zeroing and sync"""
        self.seconds_per_job = 0.0
        """virtual, of a slow disk; 0 for a fast one"""
        self.stall: tuple[float, float] | None = None
        """virtual: when, and for how many seconds, the disk takes nothing"""
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

    def _count(self) -> None:
        self.on_write()
        super()._count()

    def sync(self) -> None:
        lies = [
            sector
            for offset, data in self._unsynced
            for sector in self.lies_on_sync.intersection(self._sectors(offset, len(data)))
        ]
        try:
            super().sync()
        except DiskError:
            self._seen = bytearray(self._platter)  # what was not written is clean now, and dropped before a read
            raise
        for sector in sorted(set(lies)):
            self.corrupt(sector * SECTOR)

    def read_uncached(self, offset: int, length: int, buffer: mmap) -> memoryview:
        self.on_read()
        return super().read_uncached(offset, length, buffer)

    def boots_half(self, image: SimulatedImage) -> bool:
        """Whether it would boot although it is neither what it was before nor the whole image."""
        platter = self.platter()
        return is_bootable(platter) and platter != self.initial and not image.is_on(platter)


def is_bootable(disk: bytes) -> bool:
    """Whether sector 0 has a boot signature; without one a GPT behind it counts for nothing (UEFI 2.10, 5.2.3)."""
    return disk[510:512] == b"\x55\xaa"


def draw_disk(
    rng: random.Random,
    schedule: Schedule,
    image: SimulatedImage,
    extra_length: int,
    *,
    is_faultless: bool,
    is_used: bool,
) -> SimulatedDisk:
    """A disk for this image, longer by ``extra_length``; one of four has a fault in a sector that is used."""
    size = len(image.disk) + extra_length
    content = image.old_version(rng) if is_used else draw_content(rng, image, size)
    disk = SimulatedDisk(size, content)
    if is_faultless:
        return disk
    if rng.random() < 0.1:
        disk.seconds_per_job = rng.uniform(0.05, 0.4)
    if rng.random() < 0.07:
        disk.stall = (rng.uniform(0.2, 5.0), rng.uniform(1.0, 30.0))
    if rng.random() < FAULTY_RATIO:
        _draw_fault(rng, schedule, image, disk)
    return disk


def draw_content(rng: random.Random, image: SimulatedImage, size: int) -> bytes:
    """What is on a disk before: nothing, this very image, an older version of it, or another system."""
    kind = rng.choices(["blank", "image", "old version", "other system"], [0.45, 0.1, 0.3, 0.15])[0]
    match kind:
        case "image":
            return image.disk
        case "old version":
            return image.old_version(rng)
        case "other system":
            noise = bytearray(rng.randbytes(64) * (size // 64))
            noise[510:520] = b"\x55\xaaEFI PART"
            return bytes(noise)
    return b""


def _draw_fault(rng: random.Random, schedule: Schedule, image: SimulatedImage, disk: SimulatedDisk) -> None:
    layout = DiskLayout(image.manifest.header, disk.size)
    missing = image.missing_on(disk.initial)
    present = [chunk for sbn, chunk in enumerate(image.manifest) if sbn not in missing]
    # What is there already is a trap: it is right until it is written again.
    chunks = present if present and rng.random() < 0.7 else list(image.manifest)
    offset = rng.choice(chunks).offset
    sector = (offset + rng.randrange(CHUNK_SIZE)) // SECTOR
    happens_at = rng.uniform(0.0, 5.0)
    is_edge = layout.deferred_area(offset) is not None
    # An older content of the disk may spare the very sector, so that the fault never shows.
    is_spared = {ReceiverState.VERIFIED} if any(disk.initial) and not is_edge else set()
    disk.fault = rng.choice(
        ["bad sector", "sector goes bad", "sync fails", "sector lies", "sector lies once", "sector lies when synced"]
    )
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
            disk.allowed_states = {ReceiverState.DAMAGED} | is_spared
            disk.lying_sectors.add(sector)
        case "sector lies once":  # where blocks are written when they come, the block is mended
            if is_edge:
                disk.allowed_states = {ReceiverState.DAMAGED, ReceiverState.VERIFIED}
            disk.lies_once.add(sector)
        case "sector lies when synced":
            disk.allowed_states = {ReceiverState.DAMAGED, ReceiverState.VERIFIED}  # a power cut may spare it
            disk.lies_on_sync.add(sector)

"""The write meter: bytes that were taken, and the time in which at least one write ran."""

from threading import Event, Thread

import pytest

from protocol.digests import Buffer
from protocol.errors import DiskError
from receiver.blockdevice import new_read_buffer
from receiver.write_meter import MeteredDevice
from tests.receiver.memory_device import SECTOR, MemoryDevice

SIZE = 64 * SECTOR


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowDevice(MemoryDevice):
    """Every write and sync takes ``seconds`` of the clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__(SIZE)
        self._clock = clock
        self._seconds = seconds

    def write_at(self, offset: int, data: Buffer) -> None:
        self._clock.now += self._seconds
        super().write_at(offset, data)

    def zero_range(self, offset: int, length: int) -> None:
        self._clock.now += self._seconds
        super().zero_range(offset, length)

    def sync(self) -> None:
        self._clock.now += self._seconds
        super().sync()


class GatedDevice(MemoryDevice):
    """A write at offset n waits until gate n opens, so that a test decides which writes run together."""

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.has_begun = {offset: Event() for offset in (0, SECTOR)}
        self.gates = {offset: Event() for offset in (0, SECTOR)}

    def write_at(self, offset: int, data: Buffer) -> None:
        self.has_begun[offset].set()
        assert self.gates[offset].wait(10)
        super().write_at(offset, data)


def test_counts_bytes_of_writes_and_time_of_writes_zeroing_and_syncs() -> None:
    clock = Clock()
    device = MeteredDevice(SlowDevice(clock, 0.5), clock)
    assert (device.bytes_written, device.busy_seconds) == (0, 0.0)
    device.write_at(0, b"x" * 1000)
    clock.now += 7
    device.write_at(4096, memoryview(b"y" * 24))
    assert (device.bytes_written, device.busy_seconds) == (1024, 1.0)
    device.zero_range(0, 4096)
    device.sync()
    assert (device.bytes_written, device.busy_seconds) == (1024, 2.0)


def test_time_of_writes_that_run_together_counts_once_and_at_once() -> None:
    clock, inner = Clock(), GatedDevice()
    device = MeteredDevice(inner, clock)
    threads = {offset: Thread(target=device.write_at, args=(offset, bytes(SECTOR))) for offset in inner.gates}
    for offset, thread in threads.items():
        thread.start()
        assert inner.has_begun[offset].wait(10)
        clock.now += 1
        assert device.busy_seconds == (1.0 if offset == 0 else 2.0)  # while they run
    inner.gates[0].set()
    threads[0].join()
    clock.now += 1
    assert (device.bytes_written, device.busy_seconds) == (SECTOR, 3.0)
    inner.gates[SECTOR].set()
    threads[SECTOR].join()
    clock.now += 30
    assert (device.bytes_written, device.busy_seconds) == (2 * SECTOR, 3.0)


def test_a_write_that_fails_takes_time_but_no_bytes() -> None:
    clock = Clock()
    inner = SlowDevice(clock, 1.0)
    device = MeteredDevice(inner, clock)
    inner.bad_sectors.add(0)
    with pytest.raises(DiskError):
        device.write_at(0, bytes(SECTOR))
    clock.now += 5
    assert (device.bytes_written, device.busy_seconds) == (0, 1.0)


def test_is_the_device_in_everything_else() -> None:
    inner = MemoryDevice(SIZE, 512, b"content")
    device = MeteredDevice(inner)
    assert (device.name, device.size, device.logical_sector_size) == ("memory", SIZE, 512)
    assert list(device.data_ranges(512, 1024)) == [(512, 1024)]
    assert not device.is_hole(0, 512)
    assert bytes(device.read_uncached(0, 7, new_read_buffer(7))) == b"content"
    device.write_at(0, b"C")
    device.zero_range(1, 2)
    device.sync()
    assert inner.platter().startswith(b"C\0\0tent")

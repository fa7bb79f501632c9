"""Reading back: any set of chunks, in whole reads, by threads that stop together."""

import random
from itertools import count
from mmap import mmap
from threading import Barrier

import pytest

from protocol.errors import DiskError
from receiver.blockdevice import new_read_buffer
from receiver.disk_layout import Extent
from receiver.readback import (
    READ_LENGTH,
    READ_THREADS,
    ProgressCounter,
    contiguous_runs,
    differing_chunks,
    is_zero,
    run_jobs,
)
from tests.receiver.memory_device import MemoryDevice
from tests.receiver.sample_image import sample_image

MIB = 1 << 20
SEED = 20261121


def never() -> bool:
    return False


def test_finds_which_chunks_an_old_disk_does_not_have() -> None:
    image = sample_image(random.Random(SEED), 8 * MIB)
    device = MemoryDevice(8 * MIB, 512, image.disk)
    everything = range(len(image.manifest))
    damaged = {0, 3, len(image.manifest) - 1}
    for sbn in damaged:
        device.corrupt(image.manifest[sbn].offset + image.manifest[sbn].raw_length - 1)
    buffer = new_read_buffer(READ_LENGTH)
    found = [
        differing_chunks(device, image.manifest, run, buffer) for run in contiguous_runs(image.manifest, everything)
    ]
    assert set().union(*found) == damaged


@pytest.mark.parametrize("chunk_size", [1 << 12, 1 << 16, 1 << 18])
def test_runs_hold_every_chunk_once_and_fit_a_read(chunk_size: int) -> None:
    image = sample_image(random.Random(SEED), 4 * MIB + 512, chunk_size=chunk_size)
    sbns = sorted(random.Random(SEED).sample(range(len(image.manifest)), len(image.manifest) * 3 // 4))
    runs = list(contiguous_runs(image.manifest, sbns))
    assert [sbn for run in runs for sbn in run] == sbns
    for run in runs:
        first, last = image.manifest[run[0]], image.manifest[run[-1]]
        assert last.chunk_id - first.chunk_id == len(run) - 1
        assert last.offset + last.raw_length - first.offset <= READ_LENGTH
    assert max(len(run) for run in runs) > 1


def test_no_chunks_are_no_runs() -> None:
    assert list(contiguous_runs(sample_image(random.Random(SEED), MIB).manifest, [])) == []


@pytest.mark.parametrize("position", [0, MIB - 1, MIB, 2 * MIB + 511])
def test_one_bit_is_not_zero(position: int) -> None:
    device = MemoryDevice(4 * MIB)
    extent = Extent(MIB // 2, 2 * MIB + 512)
    buffer = new_read_buffer(READ_LENGTH)
    assert is_zero(device, extent, buffer)
    device.corrupt(extent.offset + position)
    assert not is_zero(device, extent, buffer)


def test_bytes_around_a_zero_range_do_not_matter() -> None:
    device = MemoryDevice(MIB)
    device.corrupt(4095)
    device.corrupt(8192)
    assert is_zero(device, Extent(4096, 4096), new_read_buffer(READ_LENGTH))


@pytest.mark.parametrize("threads", [1, READ_THREADS, 5])
def test_jobs_run_at_the_same_time_with_a_buffer_each(threads: int) -> None:
    barrier = Barrier(threads)
    buffers = []

    def job(buffer: mmap) -> None:
        buffers.append(buffer)
        barrier.wait(10)

    run_jobs([job] * threads, never, threads)
    assert len({id(buffer) for buffer in buffers}) == threads


def test_the_first_error_leaves_and_ends_all_threads() -> None:
    ran = []

    def fail(buffer: mmap) -> None:
        ran.append(buffer)
        raise DiskError("memory", "read", "broken")

    with pytest.raises(DiskError, match="broken"):
        run_jobs((fail for _ in count()), never)  # without end, were it not for the error
    assert len(ran) <= READ_THREADS


def test_a_stop_ends_the_work() -> None:
    ran: list[mmap] = []
    run_jobs((ran.append for _ in count()), lambda: len(ran) >= 5)
    assert 5 <= len(ran) <= 5 + READ_THREADS


def test_progress_adds_up() -> None:
    told: list[tuple[int, int]] = []
    counter = ProgressCounter(10, lambda done, total: told.append((done, total)))
    counter.add(3)
    counter.add(7)
    assert told == [(3, 10), (10, 10)]

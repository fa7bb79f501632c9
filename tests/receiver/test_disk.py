"""The disk writer: complete and equal, or not bootable; whatever the disk, the power or the caller does."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from protocol.errors import DiskError, IntegrityError, SessionStateError, TargetError
from receiver.disk import DiskState, DiskWriter
from tests.receiver.memory_device import SECTOR, MemoryDevice, PowerCutError
from tests.receiver.sample_image import BOOT_SIGNATURE, GPT_SIGNATURE, SampleImage, cast, sample_image

MIB = 1 << 20
CHUNK = 64 * 1024
SEED = 20261121


def image_of(disk_size: int, seed: int = SEED) -> SampleImage:
    print(f"seed {seed}")
    return sample_image(random.Random(seed), disk_size, chunk_size=CHUNK)


def old_disk(size: int) -> bytes:
    """Yesterday's disk: bootable, with a backup table, and without a single zero byte."""
    content = bytearray(b"\xa5" * size)
    content[510:512] = BOOT_SIGNATURE
    for offset in (512, 4096, size - 512, size - 4096):
        if 0 < offset <= size - 8:
            content[offset : offset + 8] = GPT_SIGNATURE
    return bytes(content)


def boots(disk: bytes) -> bool:
    return disk[510:512] == BOOT_SIGNATURE


def has_a_table(disk: bytes) -> bool:
    """Any trace that firmware or an operating system could revive, of 512 or 4096 byte sectors."""
    places = (512, 4096, len(disk) - 512, len(disk) - 4096)
    return boots(disk) or any(disk[place : place + 8] == GPT_SIGNATURE for place in places)


def written(image: SampleImage, device: MemoryDevice) -> DiskWriter:
    """A writer whose disk is synced, but not yet read back."""
    writer = DiskWriter(device, image.manifest)
    writer.mark_incomplete()
    for sbn in range(len(image.manifest)):
        writer.write_chunk(sbn, image.raw(sbn))
    writer.write_zero_ranges()
    writer.sync()
    return writer


class TestCompleteDisk:
    @pytest.mark.parametrize("extra", [0, SECTOR, 300 * 1024, 3 * MIB])
    @pytest.mark.parametrize("size", [SECTOR, CHUNK, MIB, MIB + SECTOR, 3 * MIB // 2, 2 * MIB, 3 * MIB + 5 * SECTOR])
    def test_holds_every_chunk_and_zero_range(self, size: int, extra: int) -> None:
        image = image_of(size)
        device = MemoryDevice(size + extra, 512, old_disk(size + extra))
        writer = DiskWriter(device, image.manifest)
        cast(image, writer, random.Random(SEED))
        assert writer.state is DiskState.COMPLETE
        assert image.differences(device.platter()) == []

    def test_keeps_free_space_as_it_was_and_clears_the_old_backup_table(self) -> None:
        image = image_of(3 * MIB)
        device = MemoryDevice(6 * MIB, 512, old_disk(6 * MIB))
        cast(image, DiskWriter(device, image.manifest), random.Random(SEED))
        disk = device.platter()
        assert disk[3 * MIB : 5 * MIB] == b"\xa5" * 2 * MIB
        assert not any(disk[5 * MIB :])

    def test_is_written_by_many_threads_beside_the_zeroing(self) -> None:
        image = image_of(4 * MIB)
        device = MemoryDevice(4 * MIB, 512, old_disk(4 * MIB))
        writer = DiskWriter(device, image.manifest)
        writer.mark_incomplete()
        with ThreadPoolExecutor(4) as pool:
            zeroing = pool.submit(writer.write_zero_ranges)
            list(pool.map(lambda sbn: writer.write_chunk(sbn, image.raw(sbn)), range(len(image.manifest))))
            zeroing.result()
        writer.sync()
        assert writer.read_back() == []
        writer.commit()
        assert image.differences(device.platter()) == []


class TestPowerCut:
    @pytest.mark.slow
    @pytest.mark.parametrize("size", [CHUNK, 3 * MIB // 2, 5 * MIB // 2 + SECTOR])
    @pytest.mark.parametrize("extra", [0, 2 * MIB])
    def test_at_every_operation_leaves_an_untouched_an_unbootable_or_a_complete_disk(
        self, size: int, extra: int
    ) -> None:
        image = image_of(size)
        before = old_disk(size + extra)
        marked_at, committed_at, end = rehearse(image, before)
        outcomes = set()
        for cut in range(end):
            for seed in range(4):
                disk = disk_after_power_cut(image, before, cut, random.Random(f"{SEED} {cut} {seed}"))
                where = f"power cut in operation {cut} of {end}, seed {seed}"
                if disk == before:
                    assert cut < marked_at, where
                    outcomes.add("untouched")
                elif boots(disk):
                    assert image.differences(disk) == [], where
                    outcomes.add("complete")
                else:
                    assert disk.startswith(b"slatecast: INCOMPLETE"), where
                    outcomes.add("marked")
                if marked_at <= cut < committed_at:
                    assert not has_a_table(disk), where
        assert outcomes == {"untouched", "marked", "complete"}

    def test_after_the_last_sync_changes_nothing(self) -> None:
        image = image_of(2 * MIB)
        device = MemoryDevice(2 * MIB, 512, old_disk(2 * MIB))
        cast(image, DiskWriter(device, image.manifest), random.Random(SEED))
        disk = device.platter()
        device.crash(random.Random(SEED))
        assert device.platter() == disk


def rehearse(image: SampleImage, before: bytes) -> tuple[int, int, int]:
    """Numbers of the operations at which the marking is over, the commit begins, and the cast is over."""
    device = MemoryDevice(len(before), 512, before)
    writer = written(image, device)
    assert writer.read_back() == []
    committed_at = device.operations
    writer.commit()
    end = device.operations
    device = MemoryDevice(len(before), 512, before)
    DiskWriter(device, image.manifest).mark_incomplete()
    return device.operations, committed_at, end


def disk_after_power_cut(image: SampleImage, before: bytes, cut: int, rng: random.Random) -> bytes:
    device = MemoryDevice(len(before), 512, before)
    device.power_cut_at = cut
    with pytest.raises(PowerCutError):
        cast(image, DiskWriter(device, image.manifest), rng)
    device.crash(rng)
    return device.platter()


class TestDiskErrors:
    @pytest.mark.parametrize("sector", [0, 2047, 3000, 4096, 6143])
    def test_a_bad_sector_anywhere_is_final_and_leaves_the_disk_unbootable(self, sector: int) -> None:
        image = image_of(3 * MIB)
        device = MemoryDevice(3 * MIB, 512, old_disk(3 * MIB))
        writer = DiskWriter(device, image.manifest)
        if sector:
            writer.mark_incomplete()
        device.bad_sectors.add(sector)
        with pytest.raises(DiskError) as first:
            finish(image, writer)
        assert first.value.offset == sector * SECTOR
        assert writer.state is DiskState.FAILED
        assert sector == 0 or not boots(device.platter())
        for call in (writer.sync, writer.commit, writer.mark_incomplete, lambda: writer.write_chunk(0, image.raw(0))):
            with pytest.raises(DiskError) as again:
                call()
            assert again.value is first.value

    @pytest.mark.parametrize("sync", range(4))
    def test_a_failed_fsync_is_final(self, sync: int) -> None:
        image = image_of(3 * MIB)
        device = SyncCounter(3 * MIB, 512, old_disk(3 * MIB))
        device.failing = sync
        writer = DiskWriter(device, image.manifest)
        with pytest.raises(DiskError, match="fsync failed"):
            cast(image, writer, random.Random(SEED))
        assert writer.state is DiskState.FAILED
        assert sync == 0 or not boots(device.platter())

    def test_a_failed_read_back_is_final(self) -> None:
        image = image_of(3 * MIB)
        device = MemoryDevice(3 * MIB, 512)
        writer = written(image, device)
        device.bad_sectors.add(3 * MIB // 2 // SECTOR)
        with pytest.raises(DiskError, match="read at byte 1572864"):
            writer.read_back()
        assert writer.state is DiskState.FAILED

    def test_a_disk_that_keeps_no_marker_is_refused_before_the_first_chunk(self) -> None:
        image = image_of(3 * MIB)
        device = MemoryDevice(3 * MIB, 512)
        device.lying_sectors.add(6000)
        with pytest.raises(IntegrityError, match="does not keep"):
            DiskWriter(device, image.manifest).mark_incomplete()

    @pytest.mark.parametrize("sector", [0, 5, 6000])
    def test_edges_that_are_not_kept_fail_the_commit_and_bring_the_marker_back(self, sector: int) -> None:
        image = image_of(3 * MIB)
        device = MemoryDevice(3 * MIB, 512)
        writer = written(image, device)
        assert writer.read_back() == []
        device.lying_sectors.add(sector)
        with pytest.raises(IntegrityError):
            writer.commit()
        assert writer.state is DiskState.FAILED
        assert not has_a_table(device.platter())


def finish(image: SampleImage, writer: DiskWriter) -> None:
    if writer.state is DiskState.OPENED:
        writer.mark_incomplete()
    for sbn in range(len(image.manifest)):
        writer.write_chunk(sbn, image.raw(sbn))
    writer.write_zero_ranges()
    writer.sync()
    writer.read_back()
    writer.commit()


class SyncCounter(MemoryDevice):
    """Fails the sync of number ``failing``."""

    failing = 0

    def sync(self) -> None:
        self.fails_next_sync = self.failing == 0
        self.failing -= 1
        super().sync()


class TestReadBack:
    def test_names_what_changed_after_the_write_until_it_is_written_again(self) -> None:
        image = image_of(4 * MIB)
        device = MemoryDevice(4 * MIB, 512)
        writer = written(image, device)
        body = [sbn for sbn in range(len(image.manifest)) if MIB <= image.manifest[sbn].offset < 3 * MIB]
        damaged = random.Random(SEED).sample(body, 3)
        for sbn in damaged:
            device.corrupt(image.manifest[sbn].offset + 7)
        assert writer.read_back() == sorted(damaged)
        with pytest.raises(SessionStateError, match="3 chunks"):
            writer.commit()
        for sbn in damaged:
            writer.write_chunk(sbn, image.raw(sbn))
        assert writer.read_back() == []
        with pytest.raises(SessionStateError, match="3 chunks"):
            writer.commit()  # they are not synced, so they were not read back
        writer.sync()
        assert writer.read_back() == []
        writer.commit()
        assert image.differences(device.platter()) == []

    def test_zeroes_again_what_the_disk_only_said_it_zeroed(self) -> None:
        image = image_of(4 * MIB)
        device = MemoryDevice(4 * MIB, 512, old_disk(4 * MIB))
        device.ignores_zeroing = True
        writer = written(image, device)
        assert image.differences(device.platter())[-1].startswith("zero range")
        assert writer.read_back() == []
        writer.commit()
        assert image.differences(device.platter()) == []

    def test_gives_up_on_zeros_that_are_not_kept(self) -> None:
        image = image_of(4 * MIB)
        device = MemoryDevice(4 * MIB, 512, old_disk(4 * MIB))
        first_zero = next(f * CHUNK for f, _ in image.manifest.header.zero_ranges if MIB <= f * CHUNK < 3 * MIB)
        device.ignores_zeroing = True
        device.lying_sectors.add(first_zero // SECTOR)
        writer = written(image, device)
        with pytest.raises(DiskError, match=f"zeroing at byte {first_zero}"):
            writer.read_back()
        assert writer.state is DiskState.FAILED

    def test_tells_its_progress_to_the_end(self) -> None:
        image = image_of(4 * MIB)
        writer = written(image, MemoryDevice(4 * MIB, 512))
        told: list[tuple[int, int]] = []
        writer.read_back(lambda done, total: told.append((done, total)))
        body = [image.manifest[sbn] for sbn in range(len(image.manifest))]
        total = sum(c.raw_length for c in body if MIB <= c.offset < 3 * MIB) + writer.zero_bytes
        assert [done for done, _ in told] == sorted({done for done, _ in told})
        assert told[-1] == (total, total)

    def test_stopped_verifies_nothing_that_it_did_not_read(self) -> None:
        image = image_of(4 * MIB)
        device = MemoryDevice(4 * MIB, 512)
        writer = written(image, device)
        assert writer.read_back(should_stop=lambda: True) == []
        with pytest.raises(SessionStateError, match="not verified"):
            writer.commit()
        assert writer.state is DiskState.MARKED
        assert writer.read_back() == []
        writer.commit()


class TestMisuse:
    @pytest.mark.parametrize(
        "call",
        [
            lambda writer: writer.write_chunk(0, bytes(CHUNK)),
            DiskWriter.write_zero_ranges,
            DiskWriter.sync,
            DiskWriter.read_back,
            DiskWriter.commit,
        ],
    )
    def test_nothing_is_written_before_the_disk_is_marked(self, call: Callable[[DiskWriter], object]) -> None:
        image = image_of(3 * MIB)
        device = MemoryDevice(3 * MIB, 512)
        writer = DiskWriter(device, image.manifest)
        with pytest.raises(SessionStateError, match="the disk is OPENED"):
            call(writer)
        assert device.operations == 0
        assert writer.state is DiskState.OPENED

    def test_nothing_is_written_after_the_commit(self) -> None:
        image = image_of(MIB)
        device = MemoryDevice(MIB, 512)
        writer = DiskWriter(device, image.manifest)
        cast(image, writer, random.Random(SEED))
        operations = device.operations
        for call in (writer.mark_incomplete, writer.commit, lambda: writer.write_chunk(0, image.raw(0))):
            with pytest.raises(SessionStateError, match="COMPLETE"):
                call()
        assert device.operations == operations

    @pytest.mark.parametrize(("sbn", "length"), [(0, CHUNK - 1), (0, CHUNK + 1), (0, 0), (-1, CHUNK), (10**6, CHUNK)])
    def test_a_chunk_of_another_length_or_number_is_refused(self, sbn: int, length: int) -> None:
        image = image_of(3 * MIB)
        device = MemoryDevice(3 * MIB, 512)
        writer = DiskWriter(device, image.manifest)
        writer.mark_incomplete()
        operations = device.operations
        with pytest.raises(SessionStateError):
            writer.write_chunk(sbn, bytes(length))
        assert device.operations == operations

    def test_a_commit_beside_another_call_is_refused(self) -> None:
        image = image_of(3 * MIB)
        writer = written(image, MemoryDevice(3 * MIB, 512))
        assert writer.read_back() == []
        refused = []

        def commit_now(done: int, total: int) -> None:
            with pytest.raises(SessionStateError, match="1 other calls"):
                writer.commit()
            refused.append(done)

        writer.write_zero_ranges(commit_now)
        assert refused
        writer.commit()
        assert writer.state is DiskState.COMPLETE

    @pytest.mark.parametrize(("size", "sector_size"), [(3 * MIB - SECTOR, 512), (3 * MIB, 4096)])
    def test_a_disk_that_cannot_take_the_image_is_refused_untouched(self, size: int, sector_size: int) -> None:
        device = MemoryDevice(size, sector_size)
        with pytest.raises(TargetError):
            DiskWriter(device, image_of(3 * MIB).manifest)
        assert device.operations == 0

"""The scan finds exactly what the disk holds, proves nothing that was written meanwhile, and costs little in vain."""

import logging
import mmap
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.digests import Buffer, raw_digest
from protocol.errors import SessionStateError
from protocol.manifest import StoredChunk, build_manifest
from receiver.blockdevice import DiskDevice, new_read_buffer
from receiver.chunk_ledger import ChunkLedger, ChunkState
from receiver.disk import DiskState, DiskWriter
from receiver.disk_layout import DiskLayout, incomplete_marker
from receiver.readback import READ_LENGTH
from receiver.scan import FIRST_SAMPLES, REPORT_BATCH, SCAN_THREADS, SPREAD_SAMPLES, DiskScan, body_sbns
from tests.receiver.loop_device import loop_device, needs_root, sparse_file
from tests.receiver.memory_device import SECTOR, MemoryDevice
from tests.receiver.sample_image import SampleImage, sample_image

MIB = 1 << 20
CHUNK = 4096
SEED = 20261121

SMALL = sample_image(random.Random(SEED), 64 * CHUNK, chunk_size=CHUNK)
LARGE = sample_image(random.Random(SEED), 1024 * CHUNK, chunk_size=CHUNK)
"""Its body is more than a sample holds."""


def never() -> bool:
    return False


class WatchedDevice(MemoryDevice):
    """Notes what is read, knows holes, and lets a test act between a read and what is made of it."""

    def __init__(self, size: int, content: bytes) -> None:
        super().__init__(size, None, content)
        self.reads: list[range] = []
        self.holes: list[range] = []
        self.after_read: Callable[[range], None] = lambda place: None
        self.before_write: Callable[[int], None] = lambda offset: None

    def write_at(self, offset: int, data: Buffer) -> None:
        self.before_write(offset)
        super().write_at(offset, data)

    def is_hole(self, offset: int, length: int) -> bool:
        return any(hole.start <= offset and offset + length <= hole.stop for hole in self.holes)

    def read_uncached(self, offset: int, length: int, buffer: mmap.mmap) -> memoryview:
        place = range(offset, offset + length)
        self.reads.append(place)
        view = super().read_uncached(offset, length, buffer)
        self.after_read(place)
        return view

    def bytes_read_of(self, image: SampleImage, sbns: list[int]) -> int:
        """Bytes of these chunks that were read."""
        chunks = [image.manifest[sbn] for sbn in sbns]
        return sum(
            max(0, min(place.stop, chunk.offset + chunk.raw_length) - max(place.start, chunk.offset))
            for place in self.reads
            for chunk in chunks
        )


class Told:
    """What a scan tells."""

    def __init__(self) -> None:
        self.present: list[int] = []
        self.batches: list[int] = []
        self.progress: list[tuple[int, int]] = []

    def on_present(self, sbns: list[int]) -> None:
        self.present += sbns
        self.batches.append(len(sbns))

    def on_progress(self, done: int, total: int) -> None:
        self.progress.append((done, total))


def scan(writer: DiskWriter, should_stop: Callable[[], bool] = never) -> Told:
    told = Told()
    writer.scan(told.on_present, told.on_progress, should_stop)
    return told


def marked(device: MemoryDevice, image: SampleImage) -> DiskWriter:
    """A writer as a delta begins."""
    writer = DiskWriter(device, image.manifest)
    writer.keep_old_edges()
    writer.mark_incomplete()
    return writer


def finish(writer: DiskWriter, image: SampleImage, missing: set[int]) -> None:
    for sbn in missing:
        writer.write_chunk(sbn, image.raw(sbn))
    writer.write_zero_ranges()
    writer.sync()
    assert writer.read_back() == []
    writer.commit()
    assert writer.state is DiskState.COMPLETE


def every(image: SampleImage) -> set[int]:
    return set(range(len(image.manifest)))


def body_of(image: SampleImage) -> list[int]:
    return list(body_sbns(image.manifest, DiskLayout(image.manifest.header, len(image.disk))))


def watched(image: SampleImage, damaged: set[int]) -> WatchedDevice:
    """A disk that holds the image but for ``damaged``."""
    device = WatchedDevice(len(image.disk), image.disk)
    for sbn in damaged:
        device.corrupt(image.manifest[sbn].offset + CHUNK - 1)
    return device


class TestWhatIsFound:
    @given(
        data=st.data(),
        seed=st.integers(0, 2**32),
        begun=st.sets(st.integers(0, len(SMALL.manifest) - 1), max_size=4),
    )
    def test_is_exactly_what_the_disk_holds_and_nobody_wrote(
        self, data: st.DataObject, seed: int, begun: set[int]
    ) -> None:
        rng = random.Random(seed)
        disk = bytearray(rng.randbytes(len(SMALL.disk)))
        kinds = data.draw(
            st.lists(st.sampled_from(["same", "bit", "zero", "other", "moved"]), min_size=64, max_size=64)
        )
        for sbn, chunk in enumerate(SMALL.manifest):
            at = slice(chunk.offset, chunk.offset + CHUNK)
            match kinds[sbn]:
                case "same":
                    disk[at] = SMALL.raw(sbn)
                case "bit":
                    disk[at] = SMALL.raw(sbn)
                    disk[chunk.offset + rng.randrange(CHUNK)] ^= 1 << rng.randrange(8)
                case "zero":
                    disk[at] = bytes(CHUNK)
                case "moved":
                    disk[at] = SMALL.raw((sbn + 1) % len(SMALL.manifest))
        ledger = ChunkLedger(len(SMALL.manifest))
        for sbn in begun:
            ledger.start_write(sbn)
        told = Told()
        device = MemoryDevice(len(disk), None, bytes(disk))
        found = DiskScan(device, SMALL.manifest, range(len(SMALL.manifest)), ledger)
        found.run(told.on_present, told.on_progress, never)
        expected = [sbn for sbn in sorted(every(SMALL) - begun) if kinds[sbn] == "same"]
        assert sorted(told.present) == expected
        assert ledger.having(ChunkState.VERIFIED) == expected
        assert told.progress[-1] == (len(SMALL.manifest), len(SMALL.manifest))
        assert found.finds_any(never) == any(kinds[sbn] == "same" for sbn in every(SMALL))

    @pytest.mark.parametrize("chunk_size", [1 << 12, 1 << 16, 1 << 18])
    @pytest.mark.parametrize("size", [SECTOR, MIB, MIB + SECTOR, 2 * MIB, 3 * MIB, 4 * MIB + 5 * SECTOR])
    @pytest.mark.parametrize("extra", [0, 2 * MIB])
    def test_a_disk_of_any_size_that_holds_all_misses_nothing(self, size: int, chunk_size: int, extra: int) -> None:
        image = sample_image(random.Random(SEED), size, chunk_size=chunk_size)
        device = WatchedDevice(size + extra, image.disk)
        layout = DiskLayout(image.manifest.header, size + extra)
        body = body_sbns(image.manifest, layout)
        assert list(body) == [s for s in every(image) if layout.deferred_area(image.manifest[s].offset) is None]
        writer = marked(device, image)
        told = scan(writer)
        assert sorted(told.present) == sorted(every(image))
        assert told.progress[-1] == (len(body), len(body))
        finish(writer, image, set())
        assert image.differences(device.platter()) == []

    @pytest.mark.parametrize("damaged_count", [1, 9, 300])
    def test_of_an_older_version_is_all_but_what_changed(self, damaged_count: int) -> None:
        damaged = set(random.Random(SEED).sample(sorted(every(LARGE)), damaged_count))
        device = watched(LARGE, damaged)
        writer = marked(device, LARGE)
        told = scan(writer)
        assert sorted(told.present) == sorted(every(LARGE) - damaged)
        with pytest.raises(SessionStateError, match=f"{damaged_count} chunks"):
            writer.commit()
        finish(writer, LARGE, damaged)
        assert LARGE.differences(device.platter()) == []

    def test_is_told_in_batches_while_the_scan_goes_on(self) -> None:
        told = scan(marked(watched(LARGE, set()), LARGE))
        assert max(told.batches) <= REPORT_BATCH + READ_LENGTH // CHUNK
        assert told.progress == sorted(told.progress)
        assert told.progress[0] == (0, len(body_of(LARGE)))
        assert len(told.present) == len(set(told.present))

    def test_holes_are_not_read_and_are_zeros(self) -> None:
        body = body_of(LARGE)
        hole = [sbn for sbn in body if 1.5 * MIB <= LARGE.manifest[sbn].offset < 2.5 * MIB]
        disk = bytearray(LARGE.disk)
        disk[MIB * 3 // 2 : MIB * 5 // 2] = bytes(MIB)
        device = WatchedDevice(len(disk), bytes(disk))
        device.holes = [range(MIB * 3 // 2, MIB * 5 // 2)]
        told = scan(marked(device, LARGE))
        assert set(told.present) == every(LARGE) - set(hole)
        assert not [place for place in device.reads if MIB * 3 // 2 <= place.start <= place.stop <= MIB * 5 // 2]

    def test_a_chunk_of_zeros_is_there_in_a_hole(self) -> None:
        zeros, ones = raw_digest(bytes(CHUNK)), raw_digest(b"\1" * CHUNK)
        chunks = [
            StoredChunk(chunk_id, chunk_id * CHUNK, CHUNK, 9, digest, bytes(32))
            for chunk_id, digest in enumerate([ones, zeros, ones, zeros])
        ]
        header = msgspec.structs.replace(SMALL.manifest.header, zero_ranges=())
        device = WatchedDevice(len(SMALL.disk), b"")
        device.holes = [range(len(SMALL.disk))]
        told = Told()
        DiskScan(device, build_manifest(header, chunks), range(4), ChunkLedger(4)).run(
            told.on_present, told.on_progress, never
        )
        assert (sorted(told.present), device.reads) == ([1, 3], [])

    def test_what_cannot_be_read_is_missing_and_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        device = watched(LARGE, set())
        lost = set(random.Random(SEED).sample(body_of(LARGE), 3))
        device.bad_sectors = {LARGE.manifest[sbn].offset // SECTOR + 3 for sbn in lost}
        writer = marked(device, LARGE)
        with caplog.at_level(logging.WARNING):
            told = scan(writer)
        assert set(told.present) == every(LARGE) - lost
        assert [record.getMessage().split(":")[0] for record in caplog.records] == ["memory"]
        assert "read at byte" in caplog.text
        device.bad_sectors.clear()  # a write makes a disk replace a sector
        finish(writer, LARGE, lost)
        assert LARGE.differences(device.platter()) == []

    @pytest.mark.parametrize("allowed_reads", [0, 1, 2])
    def test_until_a_stop_stays_found(self, allowed_reads: int) -> None:
        image = sample_image(random.Random(SEED), 12 * MIB, chunk_size=1 << 18)
        device = watched(image, set())
        device.write_at(0, incomplete_marker(image.manifest))  # so that no sample is taken
        writer = marked(device, image)
        device.reads.clear()
        told = scan(writer, lambda: len(device.reads) >= allowed_reads)
        assert allowed_reads <= len(device.reads) <= allowed_reads + SCAN_THREADS
        body = set(body_of(image))
        found = body.intersection(told.present)
        assert device.bytes_read_of(image, list(body)) == device.bytes_read_of(image, list(found))
        assert len(found) == told.progress[-1][0] < told.progress[-1][1]
        rest = scan(writer)
        assert found.isdisjoint(body.intersection(rest.present))
        finish(writer, image, every(image) - found - set(rest.present))


class TestSample:
    def test_a_foreign_disk_is_left_at_that(self) -> None:
        device = WatchedDevice(len(LARGE.disk), random.Random(1).randbytes(len(LARGE.disk)))
        writer = marked(device, LARGE)
        device.reads.clear()
        told = scan(writer)
        assert (told.present, told.progress) == ([], [(0, 0)])
        assert device.bytes_read_of(LARGE, body_of(LARGE)) <= (FIRST_SAMPLES + SPREAD_SAMPLES) * CHUNK
        finish(writer, LARGE, every(LARGE))

    @pytest.mark.parametrize(
        ("index", "is_sampled"),
        [(0, True), (FIRST_SAMPLES - 1, True), (FIRST_SAMPLES, True), (FIRST_SAMPLES + 1, False)],
    )
    def test_one_chunk_of_it_is_enough(self, index: int, is_sampled: bool) -> None:
        body = body_of(LARGE)
        told = scan(marked(watched(LARGE, every(LARGE) - {body[index]}), LARGE))
        assert told.present == ([body[index]] if is_sampled else [])

    def test_reaches_over_the_whole_body(self) -> None:
        body = body_of(LARGE)
        for part in range(4):
            quarter = set(body[len(body) * part // 4 : len(body) * (part + 1) // 4])
            assert set(scan(marked(watched(LARGE, every(LARGE) - quarter), LARGE)).present) == quarter

    def test_the_marker_of_this_image_is_worth_a_scan_and_proves_nothing(self) -> None:
        unsampled = body_of(LARGE)[FIRST_SAMPLES + 1]
        device = watched(LARGE, every(LARGE) - {unsampled})
        assert scan(marked(device, LARGE)).present == []
        # Now the marker is there.
        assert scan(marked(device, LARGE)).present == [unsampled]


class TestWritesMeanwhile:
    """The order of read, write and adoption is fixed by acting within the device."""

    def test_an_adopted_chunk_that_is_written_is_read_back(self) -> None:
        device = watched(LARGE, set())
        writer = marked(device, LARGE)
        scan(writer)
        sbn = body_of(LARGE)[7]
        device.lying_sectors.add(LARGE.manifest[sbn].offset // SECTOR)
        writer.write_chunk(sbn, LARGE.raw(sbn))
        with pytest.raises(SessionStateError, match="1 chunks"):
            writer.commit()
        writer.sync()
        assert writer.read_back() == [sbn]

    def test_the_read_back_spares_what_was_adopted(self) -> None:
        written = set(body_of(LARGE)[10:13])
        device = watched(LARGE, written)
        writer = marked(device, LARGE)
        scan(writer)
        for sbn in written:
            writer.write_chunk(sbn, LARGE.raw(sbn))
        writer.sync()
        device.reads.clear()
        assert writer.read_back() == []
        assert device.bytes_read_of(LARGE, sorted(written)) == len(written) * CHUNK
        assert device.bytes_read_of(LARGE, sorted(every(LARGE) - written)) == 0

    def test_a_chunk_that_was_written_before_is_not_looked_at(self) -> None:
        device = watched(LARGE, set())
        device.write_at(0, incomplete_marker(LARGE.manifest))  # so that no sample is taken
        writer = marked(device, LARGE)
        written = body_of(LARGE)[-100:]
        for sbn in written:
            writer.write_chunk(sbn, LARGE.raw(sbn))
        device.reads.clear()
        told = scan(writer)
        assert set(told.present) == every(LARGE) - set(written) - {0}
        assert device.bytes_read_of(LARGE, written) == 0

    @pytest.mark.parametrize("is_kept", [True, False])
    def test_a_write_that_ends_between_read_and_adoption_is_what_counts(self, is_kept: bool) -> None:
        device = watched(LARGE, set())
        writer = marked(device, LARGE)
        sbn = body_of(LARGE)[FIRST_SAMPLES + 1]  # of no sample, so that the next read of it is the scan's
        offset = LARGE.manifest[sbn].offset
        reads_back: list[list[int]] = []
        if not is_kept:
            device.lying_sectors.add(offset // SECTOR)

        def write(place: range) -> None:
            if offset in place and len(place) > CHUNK:
                device.after_read = lambda place: None
                writer.write_chunk(sbn, LARGE.raw(sbn))
                writer.sync()
                reads_back.append(writer.read_back())

        device.after_read = write
        told = scan(writer)
        assert reads_back == [[] if is_kept else [sbn]]
        assert set(told.present) == every(LARGE) - {sbn}
        if is_kept:
            finish(writer, LARGE, set())
        else:
            device.lying_sectors.clear()
            with pytest.raises(SessionStateError, match="1 chunks"):
                writer.commit()
            finish(writer, LARGE, {sbn})
        assert LARGE.differences(device.platter()) == []

    def test_a_write_that_has_begun_keeps_a_chunk_from_being_adopted(self) -> None:
        device = watched(LARGE, set())
        writer = marked(device, LARGE)
        sbn = body_of(LARGE)[FIRST_SAMPLES + 1]
        offset = LARGE.manifest[sbn].offset
        has_begun, may_end = Event(), Event()
        thread = Thread(target=writer.write_chunk, args=(sbn, LARGE.raw(sbn)))

        def hold(at: int) -> None:
            if at == offset:
                has_begun.set()
                assert may_end.wait(10)

        def start(place: range) -> None:
            if offset in place and len(place) > CHUNK and not has_begun.is_set():
                thread.start()
                assert has_begun.wait(10)

        device.before_write, device.after_read = hold, start
        told = scan(writer)
        assert thread.is_alive()
        assert set(told.present) == every(LARGE) - {sbn}
        may_end.set()
        thread.join()
        with pytest.raises(SessionStateError, match="1 chunks"):
            writer.commit()
        finish(writer, LARGE, set())

    def test_runs_beside_the_writing_of_all_the_rest(self) -> None:
        damaged = set(random.Random(SEED).sample(sorted(every(LARGE)), 200))
        device = watched(LARGE, damaged)
        writer = marked(device, LARGE)
        threads = [Thread(target=writer.write_chunk, args=(sbn, LARGE.raw(sbn))) for sbn in damaged]
        threads.append(Thread(target=writer.write_zero_ranges))
        for thread in threads:
            thread.start()
        told = scan(writer)
        for thread in threads:
            thread.join()
        # Of what is written meanwhile, the scan can find only what nobody had begun to write, so nothing of it.
        assert set(told.present) == every(LARGE) - damaged
        finish(writer, LARGE, set())
        assert LARGE.differences(device.platter()) == []

    def test_the_disk_cannot_be_committed_while_a_scan_runs(self) -> None:
        device = watched(LARGE, set())
        writer = marked(device, LARGE)
        refused = []

        def commit(done: int, total: int) -> None:
            with pytest.raises(SessionStateError, match="other calls"):
                writer.commit()
            refused.append(done)

        writer.scan(lambda sbns: None, commit, never)
        assert refused


class TestPowerCut:
    @pytest.mark.parametrize("seed", range(8))
    def test_takes_nothing_away_that_was_adopted(self, seed: int) -> None:
        rng = random.Random(f"{SEED} {seed}")
        device = WatchedDevice(len(LARGE.disk), bytes(len(LARGE.disk)))
        killed = marked(device, LARGE)
        written = set(rng.sample(body_of(LARGE), 150))
        for sbn in written:
            killed.write_chunk(sbn, LARGE.raw(sbn))  # and no sync
        told = scan(marked(device, LARGE))
        assert set(told.present) == written
        device.crash(rng)
        for sbn in written:
            chunk = LARGE.manifest[sbn]
            assert device.platter()[chunk.offset : chunk.offset + CHUNK] == LARGE.raw(sbn)

    @pytest.mark.parametrize("seed", range(8))
    def test_leaves_what_the_next_scan_finds(self, seed: int) -> None:
        rng = random.Random(f"{SEED} {seed}")
        device = WatchedDevice(len(LARGE.disk), rng.randbytes(len(LARGE.disk)))
        writer = marked(device, LARGE)
        order = rng.sample(sorted(every(LARGE)), len(LARGE.manifest))
        for number, sbn in enumerate(order[: rng.randrange(50, 400)]):
            writer.write_chunk(sbn, LARGE.raw(sbn))
            if number % 100 == 99:
                writer.sync()
        device.crash(rng)
        disk = device.platter()
        there = {sbn for sbn in body_of(LARGE) if disk[LARGE.manifest[sbn].offset :][:CHUNK] == LARGE.raw(sbn)}
        writer = marked(device, LARGE)
        assert set(scan(writer).present) == there
        finish(writer, LARGE, every(LARGE) - there)
        assert LARGE.differences(device.platter()) == []


@pytest.fixture(params=["file on tmpfs", pytest.param("loop device", marks=(pytest.mark.system, needs_root))])
def disk_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A sparse disk of 12 MiB, all of it a hole."""
    with ExitStack() as cleanup:
        if request.param == "file on tmpfs":
            file = sparse_file(Path("/dev/shm") / f"slatecast-scan-{os.getpid()}", 12 * MIB)
            cleanup.callback(file.unlink)
            yield str(file)
        else:
            yield cleanup.enter_context(loop_device(sparse_file(tmp_path / "disk.img", 12 * MIB)))


def test_a_real_disk_is_resumed_where_it_was(disk_path: str) -> None:
    image = sample_image(random.Random(SEED), 12 * MIB, chunk_size=1 << 16)
    body = set(body_of(image))
    written = set(random.Random(SEED).sample(sorted(body), len(body) * 7 // 10))
    with DiskDevice.open(disk_path) as device:
        writer = DiskWriter(device, image.manifest)
        writer.keep_old_edges()
        writer.mark_incomplete()
        assert scan(writer).progress == [(0, 0)]
        for sbn in written:
            writer.write_chunk(sbn, image.raw(sbn))
    with DiskDevice.open(disk_path) as device:
        writer = DiskWriter(device, image.manifest)
        writer.keep_old_edges()
        writer.mark_incomplete()
        told = scan(writer)
        assert set(told.present) == written
        assert told.progress[-1] == (len(body), len(body))
        finish(writer, image, every(image) - written)
        assert image.differences(bytes(device.read_uncached(0, 12 * MIB, new_read_buffer(12 * MIB)))) == []
    with DiskDevice.open(disk_path) as device:
        writer = DiskWriter(device, image.manifest)
        writer.keep_old_edges()
        writer.mark_incomplete()
        assert set(scan(writer).present) == every(image)
        finish(writer, image, set())

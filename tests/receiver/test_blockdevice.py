"""Real files and loop devices: exclusive, whole writes, zeros, final fsync errors, reads from below the cache."""

import errno
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from protocol.errors import DiskError, SessionStateError, TargetError
from receiver.blockdevice import DIRECT_ALIGNMENT, DiskDevice, new_read_buffer
from receiver.disk import DiskState, DiskWriter
from tests.receiver.loop_device import loop_device, mounted, needs_root, sparse_file
from tests.receiver.sample_image import cast, sample_image

MIB = 1 << 20
SIZE = 8 * MIB
SEED = 20261121


@pytest.fixture
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    kind, sector_size = request.param
    with ExitStack() as cleanup:
        if kind == "file on tmpfs":
            file = sparse_file(Path("/dev/shm") / f"slatecast-test-{os.getpid()}", SIZE)
            cleanup.callback(file.unlink)
        else:
            file = sparse_file(tmp_path / "disk.img", SIZE)
        yield cleanup.enter_context(loop_device(file, sector_size)) if sector_size else str(file)


on_every_device = pytest.mark.parametrize(
    "path",
    [
        pytest.param((kind, sector_size), id=f"{kind} {sector_size or ''}".strip(), marks=marks)
        for kind, sector_size, marks in (
            ("file on a disk", None, ()),
            ("file on tmpfs", None, ()),
            ("loop device", 512, (pytest.mark.system, needs_root)),
            ("loop device", 4096, (pytest.mark.system, needs_root)),
        )
    ],
    indirect=True,
)


def read(device: DiskDevice, offset: int, length: int) -> bytes:
    return bytes(device.read_uncached(offset, length, new_read_buffer(length)))


@on_every_device
class TestEveryDevice:
    def test_knows_its_geometry(self, path: str) -> None:
        with DiskDevice.open(path) as device:
            assert (device.name, device.size) == (path, SIZE)
            assert device.logical_sector_size == (None if "loop" not in path else int(sector_size_of(path)))

    @pytest.mark.parametrize("offset", [0, 4096, 3 * MIB, SIZE - 4096])
    def test_reads_what_was_written(self, path: str, offset: int) -> None:
        data = random.Random(SEED).randbytes(min(MIB + 4096, SIZE - offset))
        with DiskDevice.open(path) as device:
            device.write_at(offset, data)
            device.sync()
            assert read(device, offset, len(data)) == data
            assert read(device, offset + 512, len(data) - 1000) == data[512:-488]

    def test_zeroes_exactly_its_range(self, path: str) -> None:
        data = random.Random(SEED).randbytes(4 * MIB)
        with DiskDevice.open(path) as device:
            device.write_at(MIB, data)
            device.zero_range(2 * MIB, 2 * MIB - 4096)
            device.zero_range(6 * MIB, MIB)
            device.sync()
            assert read(device, 0, SIZE) == (
                bytes(MIB) + data[:MIB] + bytes(2 * MIB - 4096) + data[3 * MIB - 4096 :] + bytes(3 * MIB)
            )

    def test_tells_where_data_may_lie(self, path: str) -> None:
        with DiskDevice.open(path) as device:
            device.write_at(2 * MIB, b"x" * MIB)
            device.sync()
            ranges = list(device.data_ranges(MIB, 4 * MIB))
            assert ranges == ([(MIB, 4 * MIB)] if device.logical_sector_size else [(2 * MIB, MIB)])
            holes = [
                device.is_hole(*place) for place in ((0, MIB), (MIB, MIB), (MIB, MIB + 1), (2 * MIB, 1), (MIB * 3, MIB))
            ]
            assert holes == ([False] * 5 if device.logical_sector_size else [True, True, False, False, True])

    @pytest.mark.parametrize(("offset", "length"), [(-1, 1), (SIZE, 1), (SIZE - 511, 512)])
    def test_never_writes_outside(self, path: str, offset: int, length: int) -> None:
        with DiskDevice.open(path) as device, pytest.raises(SessionStateError, match="not within"):
            device.write_at(offset, bytes(length))
        assert DiskDevice.open(path).size == SIZE

    def test_is_opened_by_one_only(self, path: str) -> None:
        with DiskDevice.open(path), pytest.raises(TargetError, match="is in use"):
            DiskDevice.open(path)
        DiskDevice.open(path).close()

    @pytest.mark.slow
    def test_takes_a_whole_image(self, path: str) -> None:
        with DiskDevice.open(path) as device:
            sector_size = device.logical_sector_size or 512
            image = sample_image(random.Random(SEED), SIZE - 3 * 4096, sector_size=sector_size, chunk_size=1 << 16)
            device.write_at(0, b"\xa5" * SIZE)
            writer = DiskWriter(device, image.manifest)
            cast(image, writer, random.Random(SEED))
            assert writer.state is DiskState.COMPLETE
            assert image.differences(read(device, 0, SIZE)) == []


def sector_size_of(path: str) -> str:
    return (Path("/sys/block") / Path(path).name / "queue/logical_block_size").read_text()


class TestFile:
    def test_zeroing_leaves_holes_alone(self, tmp_path: Path) -> None:
        file = sparse_file(tmp_path / "disk.img", SIZE)
        with DiskDevice.open(file) as device:
            device.zero_range(0, SIZE)
            device.sync()
        assert file.stat().st_blocks == 0

    def test_without_direct_reads_goes_through_the_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        direct_open = os.open

        def open_without_direct(path: str, flags: int, mode: int = 0o777) -> int:
            if flags & os.O_DIRECT:
                raise OSError(errno.EINVAL, "no O_DIRECT here")
            return direct_open(path, flags, mode)

        monkeypatch.setattr(os, "open", open_without_direct)
        file = sparse_file(tmp_path / "disk.img", SIZE)
        with DiskDevice.open(file) as device:
            device.write_at(100, b"here")
            device.sync()
            assert read(device, 98, 8) == b"\0\0here\0\0"

    def test_reads_the_end_of_an_odd_size(self, tmp_path: Path) -> None:
        file = tmp_path / "disk.img"
        file.write_bytes(b"ab" * 2500)
        with DiskDevice.open(file) as device:
            assert read(device, 4090, 910) == b"ab" * 455

    def test_that_shrank_ends_too_early(self, tmp_path: Path) -> None:
        file = sparse_file(tmp_path / "disk.img", SIZE)
        with DiskDevice.open(file) as device:
            os.truncate(file, MIB)
            with pytest.raises(DiskError, match=f"read at byte {MIB} .* ends too early"):
                read(device, 0, SIZE)

    def test_wants_a_buffer_that_is_long_enough(self, tmp_path: Path) -> None:
        file = sparse_file(tmp_path / "disk.img", SIZE)
        with DiskDevice.open(file) as device, pytest.raises(SessionStateError, match="too short"):
            device.read_uncached(0, MIB, new_read_buffer(MIB - 2 * DIRECT_ALIGNMENT))

    def test_closed_is_not_used_again(self, tmp_path: Path) -> None:
        device = DiskDevice.open(sparse_file(tmp_path / "disk.img", SIZE))
        device.close()
        device.close()
        with pytest.raises(SessionStateError, match="is closed"):
            device.sync()

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda path: None, "does not exist"),
            (lambda path: path.mkdir(), "neither a disk nor a regular file"),
            (os.mkfifo, "neither a disk nor a regular file"),
            (lambda path: path.symlink_to("/dev/null"), "neither a disk nor a regular file"),
            (lambda path: path.symlink_to(path.name), "cannot be opened"),
        ],
    )
    def test_cannot_be_anything_else(self, tmp_path: Path, make: Callable[[Path], object], reason: str) -> None:
        path = tmp_path / "target"
        make(path)
        with pytest.raises(TargetError, match=reason):
            DiskDevice.open(path)

    def test_name_with_a_nul_is_refused(self) -> None:
        with pytest.raises(TargetError, match="null"):
            DiskDevice.open("disk\0.img")


@pytest.mark.system
@needs_root
class TestBelowTheCache:
    def test_read_back_finds_a_byte_that_changed_on_the_disk_only(self, tmp_path: Path) -> None:
        backing = sparse_file(tmp_path / "disk.img", SIZE)
        image = sample_image(random.Random(SEED), SIZE, chunk_size=1 << 16)
        sbn, chunk = next((n, chunk) for n, chunk in enumerate(image.manifest) if chunk.offset >= 3 * MIB)
        with loop_device(backing) as path, DiskDevice.open(path) as device:
            writer = DiskWriter(device, image.manifest)
            writer.mark_incomplete()
            for number in range(len(image.manifest)):
                writer.write_chunk(number, image.raw(number))
            writer.write_zero_ranges()
            writer.sync()
            with Path(path).open("rb") as cached, backing.open("r+b") as disk:
                cached.seek(chunk.offset)
                cached.read(chunk.raw_length)  # now the page cache of the loop device surely has the right bytes
                disk.seek(chunk.offset + 1000)
                disk.write(bytes([image.raw(sbn)[1000] ^ 1]))
                disk.flush()
                cached.seek(chunk.offset)
                assert cached.read(chunk.raw_length) == image.raw(sbn)
            assert writer.read_back() == [sbn]

    def test_a_mounted_disk_cannot_be_opened(self, tmp_path: Path) -> None:
        with loop_device(sparse_file(tmp_path / "disk.img", SIZE)) as path:
            subprocess.run(["mkfs.ext4", "-q", path], check=True)
            with mounted(path, tmp_path / "mount"), pytest.raises(TargetError, match="is in use"):
                DiskDevice.open(path)

    def test_a_read_only_disk_cannot_be_opened(self, tmp_path: Path) -> None:
        file = sparse_file(tmp_path / "disk.img", SIZE)
        with loop_device(file, 512, "--read-only") as path, pytest.raises(TargetError, match="is read-only"):
            DiskDevice.open(path)

    def test_a_full_file_system_is_a_disk_error(self, tmp_path: Path) -> None:
        with mounted("tmpfs", tmp_path / "small", "-t", "tmpfs", "-o", "size=1m") as folder:
            file = sparse_file(folder / "disk.img", SIZE)
            with DiskDevice.open(file) as device, pytest.raises(DiskError, match="No space left") as caught:
                device.write_at(MIB // 2, bytes(2 * MIB))
            assert caught.value.operation == "write"
            assert caught.value.offset is not None
            assert MIB // 2 < caught.value.offset < 2 * MIB


RUNNER = """
import random, sys
from protocol.errors import SlatecastError
from receiver.blockdevice import DiskDevice
from receiver.disk import DiskWriter
from tests.receiver.sample_image import cast, sample_image

image = sample_image(random.Random(1), 4 << 20, chunk_size=1 << 16)
with DiskDevice.open(sys.argv[1]) as device:
    writer = DiskWriter(device, image.manifest)
    for attempt in range(2):
        try:
            cast(image, writer, random.Random(1)) if attempt == 0 else device.sync()
        except SlatecastError as error:
            print(type(error).__name__, error)
    print(writer.state.name)
"""


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs the Debian package strace")
class TestInjectedErrors:
    def run(self, file: Path, injection: str) -> list[str]:
        # strace 6 injects only into calls that it also traces.
        strace = ["strace", "--follow-forks", "--quiet=all", "--trace=pwrite64,fsync", "--output=/dev/null"]
        command = [*strace, f"--inject={injection}", sys.executable, "-c", RUNNER, str(file)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert result.stderr == ""
        return result.stdout.splitlines()

    def test_nothing_injected_completes(self, tmp_path: Path) -> None:
        assert self.run(sparse_file(tmp_path / "disk.img", SIZE), "fsync:error=EIO:when=99") == ["COMPLETE"]

    @pytest.mark.parametrize("when", [1, 8, 20])
    def test_a_write_error_fails_the_disk_and_leaves_no_table(self, tmp_path: Path, when: int) -> None:
        file = sparse_file(tmp_path / "disk.img", SIZE)
        first, state = self.run(file, f"pwrite64:error=EIO:when={when}")
        assert first.startswith(f"DiskError {file}: write at byte ")
        assert first.endswith("failed: Input/output error")
        assert state == "FAILED"
        assert file.read_bytes()[510:512] == b"\0\0"

    @pytest.mark.parametrize("when", [1, 2, 3, 4])
    def test_an_fsync_error_is_final_though_the_next_fsync_would_succeed(self, tmp_path: Path, when: int) -> None:
        file = sparse_file(tmp_path / "disk.img", SIZE)
        first, again, state = self.run(file, f"fsync:error=EIO:when={when}")
        assert first == again == f"DiskError {file}: fsync failed: Input/output error"
        assert state == "FAILED"
        assert file.read_bytes()[510:512] == b"\0\0"

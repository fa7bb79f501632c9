import errno
import os
from pathlib import Path

import pytest

from protocol.errors import SourceError
from protocol.manifest import CHUNK_SIZE
from receiver.capture.reading import Reading, Rows, Survey, blanked, describe, survey
from tests.receiver.capture.reference_disk import (
    MIB,
    ext4_file,
    filled,
    needs,
    noise,
    ntfs_file,
    opened,
    partitioned,
    put,
    run,
    swap_file,
)
from tests.receiver.loop_device import needs_root

LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
WINDOWS = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"


def test_rows_come_back_as_they_were_added() -> None:
    rows = Rows()
    rows.add(3, b"a" * 32)
    rows.add(4, None)
    rows.add(9, b"b" * 32)
    assert list(rows) == [(3, b"a" * 32), (9, b"b" * 32)]
    assert (len(rows), list(rows.zero)) == (2, [4])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [([], b"abcdefgh"), ([(0, 2), (6, 8)], b"\0\0cdef\0\0"), ([(4, 100)], b"abcd\0\0\0\0"), ([(0, 8)], None)],
)
def test_what_is_free_is_blanked(parts: list[tuple[int, int]], expected: bytes | None) -> None:
    assert blanked(Reading(0, b"abcdefgh", parts)) == expected


def rebuilt(found: Survey) -> bytes:
    """The disk that an image of it would make, on one that was all ones."""
    disk = bytearray(b"\xff" * found.source.size)
    for chunk_id in found.plan.zero:
        disk[chunk_id * CHUNK_SIZE : (chunk_id + 1) * CHUNK_SIZE] = bytes(CHUNK_SIZE)
    for reading in found.readings():
        content = blanked(reading) or bytes(len(reading.raw))
        start = reading.chunk_id * CHUNK_SIZE
        disk[start : start + len(reading.raw)] = content
    return bytes(disk)


@needs_root
@pytest.mark.system
@pytest.mark.slow
@needs("mkntfs", "ntfs-3g")
def test_a_disk_of_two_systems(tmp_path: Path) -> None:
    secret, deleted, kept = noise(2 * MIB, 5), noise(2 * MIB, 6), noise(3 * MIB, 7)
    linux = ext4_file(tmp_path / "ext4.img", 24 * MIB)
    with filled(linux, tmp_path / "root") as root:
        put(root, "kept", kept)
        swap_file(root, "swapfile", secret)
        put(root, "deleted", deleted)
        run("sync", "-f", root)
        (root / "deleted").unlink()
    assert deleted[:4096] in linux.read_bytes()
    windows = ntfs_file(tmp_path / "ntfs.img", {"pagefile.sys": secret, "kept.bin": kept}, tmp_path, 24 * MIB)
    disk = partitioned(tmp_path / "disk.img", [(linux, LINUX), (windows, WINDOWS)])
    with opened(disk, tmp_path) as source:
        found = survey(source, tmp_path)
        assert [partition.filesystem for partition in found.table.partitions] == ["ext4", "ntfs"]
        assert found.skipped_bytes == 4 * MIB
        made = rebuilt(found)
        assert found.bytes_to_read < 14 * MIB
        described = describe(found, Rows(), "desk", ())
        assert described.partition_table == "gpt"
        assert [part.filesystem for part in described.partitions] == ["ext4", "ntfs"]
        assert described.zero_ranges == tuple((start, stop - start) for start, stop in found.plan.zero.ranges())
    for gone in (secret, deleted):
        assert not any(gone[start : start + 4096] in made for start in range(0, len(gone), MIB // 2))
    (tmp_path / "linux").write_bytes(made[MIB : 25 * MIB])
    run("e2fsck", "-fn", tmp_path / "linux")
    with filled(tmp_path / "linux", tmp_path / "root", "ro") as root:
        assert (root / "kept").read_bytes() == kept
    (tmp_path / "windows").write_bytes(made[25 * MIB : 49 * MIB])
    assert kept[:4096] in made[25 * MIB :]
    run("ntfsfix", "--no-action", tmp_path / "windows")


def test_a_bad_sector_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = 3 * CHUNK_SIZE + 5 * 512
    disk = put(tmp_path, "disk", noise(5 * CHUNK_SIZE))
    real = os.pread
    with opened(disk, tmp_path) as source:
        found = survey(source, tmp_path)

        def failing(descriptor: int, length: int, offset: int) -> bytes:
            if offset <= bad < offset + length:
                raise OSError(errno.EIO, "Input/output error")
            return real(descriptor, length, offset)

        monkeypatch.setattr(os, "pread", failing)
        readings = found.readings()
        assert [next(readings).chunk_id for _ in range(3)] == [0, 1, 2]
        with pytest.raises(SourceError, match=rf"sector {bad // 512}: Input/output error; the disk is failing"):
            next(readings)


def test_a_disk_that_disappears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = put(tmp_path, "disk", noise(CHUNK_SIZE))
    with opened(disk, tmp_path) as source:
        found = survey(source, tmp_path)

        def failing(_descriptor: int, _length: int, _offset: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "pread", failing)
        disk.unlink()
        with pytest.raises(SourceError, match="has disappeared while it was read"):
            next(found.readings())


def test_a_disk_that_shrinks(tmp_path: Path) -> None:
    disk = put(tmp_path, "disk", noise(3 * CHUNK_SIZE))
    with opened(disk, tmp_path) as source:
        found = survey(source, tmp_path)
        os.truncate(disk, CHUNK_SIZE)
        with pytest.raises(SourceError, match="has disappeared or shrunk"):
            list(found.readings())

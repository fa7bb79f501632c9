from pathlib import Path

import pytest

from protocol.disk.partitions import Partition, read_partition_table
from receiver.capture import page_files
from receiver.capture.page_files import (
    SWAP_HEADER,
    PageFiles,
    filefrag_runs,
    find_page_files,
    ntfs_runs,
)
from tests.receiver.capture.reference_disk import (
    MIB,
    ext4_file,
    filled,
    needs,
    noise,
    ntfs_file,
    opened,
    put,
    run,
    swap_file,
)
from tests.receiver.loop_device import needs_root, sparse_file

SECRET = noise(3 * MIB, seed=7)

EXTENTS = """\
Filesystem type is: ef53
File size of /proc/1/fd/3 is 1048576 (2048 blocks of 512 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..    1023:      65538..     66561:   1024:
   1:     1024..    2047:      70000..     71023:   1024:      66562: last,{flags}eof
/proc/1/fd/3: 2 extents found
"""

DATA = """\
Dumping attribute $FILE_NAME (0x30) from mft record 64 (0x40)
\tResident: \t\t Yes
Dumping attribute $DATA (0x80) from mft record 64 (0x40)
\tResident: \t\t {resident}
\tName length:\t\t 0 (0x0)
\tAttribute flags:\t {flags}
\tAllocated size:\t\t 9437184 (0x900000)
\tRunlist:\tVCN\t\tLCN\t\tLength
\t\t\t0x0\t\t0x2200\t\t0x100
\t\t\t{vcn}\t\t0x3300\t\t0x800
End of inode reached
"""


def looked_at(image: Path, scratch: Path) -> tuple[Partition, PageFiles]:
    with opened(image, scratch) as source:
        (partition,) = read_partition_table(source).partitions
        return partition, find_page_files(source, partition)


def remaining(image: Path, found: PageFiles) -> bytes:
    """The file system with the found bytes as zeros."""
    content = bytearray(image.read_bytes())
    for start, stop in found.skipped.ranges():
        content[start:stop] = bytes(stop - start)
    return bytes(content)


def test_extents_of_filefrag() -> None:
    runs = filefrag_runs(EXTENTS.format(flags=""), MIB)
    assert runs == [(0, 65538 * 512, 1024 * 512), (1024 * 512, 70000 * 512, 1024 * 512)]
    assert filefrag_runs(EXTENTS.format(flags="unwritten,"), MIB) == runs


@pytest.mark.parametrize("flag", ["shared", "inline", "encoded", "unknown_loc", "delalloc", "not_aligned"])
def test_extents_that_do_not_count(flag: str) -> None:
    assert filefrag_runs(EXTENTS.format(flags=f"{flag},"), MIB) is None


@pytest.mark.parametrize(("listing", "size"), [(EXTENTS.format(flags=""), MIB + 1), ("", 5), ("nonsense", 5)])
def test_extents_that_are_not_the_whole_file(listing: str, size: int) -> None:
    assert filefrag_runs(listing, size) is None


def test_runs_of_ntfsinfo() -> None:
    runs = ntfs_runs(DATA.format(resident="No", flags="0x0000", vcn="0x100"), 4096)
    assert runs == [(0, 0x2200 * 4096, 0x100 * 4096), (0x100 * 4096, 0x3300 * 4096, 0x800 * 4096)]


@pytest.mark.parametrize(
    ("resident", "flags", "vcn"),
    [("Yes", "0x0000", "0x100"), ("No", "0x0001", "0x100"), ("No", "0x8000", "0x100"), ("No", "0x0000", "0x101")],
)
def test_runs_that_do_not_count(resident: str, flags: str, vcn: str) -> None:
    assert ntfs_runs(DATA.format(resident=resident, flags=flags, vcn=vcn), 4096) is None
    assert ntfs_runs("", 4096) is None


@needs_root
@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize("where", ["swapfile", "swap/swap.img", "opt/deep/named"])
def test_linux_swap_files(tmp_path: Path, where: str) -> None:
    image = ext4_file(tmp_path / "ext4.img")
    with filled(image, tmp_path / "root") as root:
        put(root, "etc/fstab", "# x\nUUID=1 / ext4 defaults 0 1\n/opt/deep/named none swap sw 0 0\n")
        swap_file(root, where, SECRET)
        put(root, "kept", noise(MIB, seed=3))
    _, found = looked_at(image, tmp_path)
    assert len(found.skipped) == len(SECRET)
    assert not found.kept
    after = tmp_path / "after.img"
    after.write_bytes(remaining(image, found))
    run("e2fsck", "-fn", after)
    assert SECRET[:4096] not in after.read_bytes()
    assert SECRET[-4096:] not in after.read_bytes()
    with filled(after, tmp_path / "root", "ro") as root:
        assert (root / "kept").read_bytes() == noise(MIB, seed=3)
        assert (root / where).read_bytes()[:SWAP_HEADER] != bytes(SWAP_HEADER)
        run("swaplabel", root / where)  # what swapon would look at


@needs_root
@pytest.mark.system
def test_what_only_looks_like_a_swap_file(tmp_path: Path) -> None:
    image = ext4_file(tmp_path / "ext4.img")
    with filled(image, tmp_path / "root") as root:
        put(root, "etc/fstab", "/data none swap sw 0 0\n/link none swap sw 0 0\n")
        put(root, "data", noise(MIB))
        signed = bytearray(noise(MIB))
        signed[4086:4096] = b"SWAPSPACE2"  # and nothing else of a swap header
        put(root, "signed", bytes(signed))
        swap_file(root, "elsewhere/unnamed", SECRET)
        (root / "link").symlink_to("elsewhere/unnamed")
    _, found = looked_at(image, tmp_path)
    assert not found.skipped


@needs_root
@pytest.mark.system
@pytest.mark.slow
@needs("mkfs.xfs", "xfsprogs")
def test_xfs(tmp_path: Path) -> None:
    image = sparse_file(tmp_path / "xfs.img", 320 * MIB)
    run("mkfs.xfs", "-qK", image)
    with filled(image, tmp_path / "root") as root:
        swap_file(root, "swapfile", SECRET)
    _, found = looked_at(image, tmp_path)
    assert len(found.skipped) == len(SECRET)
    (start, stop), *_ = found.skipped.ranges()
    assert SECRET.startswith(image.read_bytes()[start : min(stop, start + 4096)])


@needs_root
@pytest.mark.system
@needs("mkntfs", "ntfs-3g")
def test_windows_page_files(tmp_path: Path) -> None:
    files = {
        "pagefile.sys": SECRET,
        "hiberfil.sys": noise(MIB, 8),
        "kept.bin": noise(MIB, 3),
        "Windows/pagefile.sys": b"x",
    }
    image = ntfs_file(tmp_path / "ntfs.img", files, tmp_path)
    _, found = looked_at(image, tmp_path)
    assert len(found.skipped) == 4 * MIB
    assert not found.kept
    after = remaining(image, found)
    assert SECRET[:4096] not in after
    assert noise(MIB, 8)[:4096] not in after
    assert noise(MIB, 3)[:4096] in after


@needs_root
@pytest.mark.system
@needs("mkntfs", "ntfs-3g")
def test_a_page_file_is_kept_when_the_tool_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = ntfs_file(tmp_path / "ntfs.img", {"pagefile.sys": SECRET}, tmp_path)
    monkeypatch.setattr(page_files, "find_tool", lambda _name: None)
    _, found = looked_at(image, tmp_path)
    assert not found.skipped
    assert "apt install ntfs-3g" in found.kept[0][1]

import os
from pathlib import Path

import pytest

from protocol.disk.source import open_source
from protocol.errors import LibraryError, SourceError
from tests.broadcaster.library.disks import MIB, needs, needs_root, noise, run, sparse_file

needs_qemu = needs("qemu-img", "qemu-utils")
FORMATS = ["qcow2", "vmdk", "vhdx", "vdi", "vpc"]


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


def virtual_disk(folder: Path, virtual_format: str) -> tuple[Path, Path]:
    """A raw disk with holes and the same one as a virtual disk."""
    raw = sparse_file(folder / "disk.raw", 16 * MIB, {MIB: noise(1, 2 * MIB), 10 * MIB: noise(2, 3 * MIB)})
    virtual = folder / f"disk.{virtual_format}"
    force_size = ("-o", "force_size=on") if virtual_format == "vpc" else ()
    run("qemu-img", "convert", "-f", "raw", "-O", virtual_format, *force_size, str(raw), str(virtual))
    return raw, virtual


def test_holes_are_told_apart_from_data(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 64 * MIB, {8 * MIB: noise(1, MIB), 40 * MIB: noise(2, 512)})
    with open_source(disk, tmp_path, quiet) as source:
        ranges = list(source.data_ranges())
        assert source.read(8 * MIB, MIB) == noise(1, MIB)
    assert any(start <= 8 * MIB and stop >= 9 * MIB for start, stop in ranges)
    assert any(start <= 40 * MIB < stop for start, stop in ranges)
    assert sum(stop - start for start, stop in ranges) < 3 * MIB
    assert (source.size, source.logical_sector_size, source.path) == (64 * MIB, 512, disk)


def test_a_file_that_is_one_hole_has_no_data(tmp_path: Path) -> None:
    with open_source(sparse_file(tmp_path / "disk.img", MIB), tmp_path, quiet) as source:
        assert list(source.data_ranges()) == []


def test_a_gpt_in_the_second_4096_bytes_means_sectors_of_that_size(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", MIB, {4096: b"EFI PART"})
    with open_source(disk, tmp_path, quiet) as source:
        assert source.logical_sector_size == 4096


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"", "is empty"),
        (b"x" * 513, "cut short or no disk image"),
        (b"\x1f\x8b\x08" + b"x" * 509, "is a gzip file"),
        (b"PK\x03\x04" + b"x" * 508, "is a zip archive"),
        (b"x" * 257 + b"ustar" + b"x" * 250, "is a tar archive"),
        (b"partclone-image" + b"x" * 497, "is a partclone image"),
        (b"#!/bin/sh\n" + b"x" * 502, "is a script"),
    ],
)
def test_refuses_what_is_no_disk(tmp_path: Path, contents: bytes, words: str) -> None:
    (tmp_path / "file").write_bytes(contents)
    with pytest.raises(SourceError, match=words), open_source(tmp_path / "file", tmp_path, quiet):
        pass


def test_refuses_what_cannot_be_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "missing", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "neither a file nor a disk"),
        (Path("/dev/null"), "neither a file nor a disk"),
    ):
        with pytest.raises(SourceError, match=words), open_source(path, tmp_path, quiet):
            pass


def test_a_file_that_shrinks_meanwhile_is_noticed(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", MIB)
    with open_source(disk, tmp_path, quiet) as source:
        os.truncate(disk, MIB // 2)
        with pytest.raises(SourceError, match="ends at byte 524288"):
            source.read(MIB // 4, MIB // 2)


@needs_qemu
@pytest.mark.system
@pytest.mark.parametrize("virtual_format", FORMATS)
def test_virtual_disks_are_unfolded_and_go_away_afterwards(tmp_path: Path, virtual_format: str) -> None:
    raw, virtual = virtual_disk(tmp_path, virtual_format)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    seen: list[tuple[str, int, int]] = []
    with open_source(virtual, scratch, lambda *progress: seen.append(progress)) as source:
        assert source.read(0, source.size) == raw.read_bytes()
        assert sum(stop - start for start, stop in source.data_ranges()) <= 6 * MIB
        assert source.origin == str(virtual)
    assert not any(scratch.iterdir())
    assert seen[-1] == (f"unfolding {virtual_format}", 16 * MIB, 16 * MIB)


@needs_qemu
@pytest.mark.system
@pytest.mark.parametrize("virtual_format", FORMATS)
def test_virtual_disks_that_were_cut_short_are_refused(tmp_path: Path, virtual_format: str) -> None:
    _, virtual = virtual_disk(tmp_path, virtual_format)
    os.truncate(virtual, virtual.stat().st_size * 2 // 3)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(SourceError, match=r"damaged|cut short"), open_source(virtual, scratch, quiet):
        pass
    assert not any(scratch.iterdir())


@needs_qemu
@needs_root
@pytest.mark.system
def test_no_room_to_unfold_is_told_as_such(tmp_path: Path) -> None:
    _, virtual = virtual_disk(tmp_path, "qcow2")
    scratch = tmp_path / "small"
    scratch.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(scratch))
    try:
        with pytest.raises(OSError, match="No space left"), open_source(virtual, scratch, quiet):
            pass
        assert not any(scratch.iterdir())
    finally:
        run("umount", str(scratch))


@needs_qemu
@pytest.mark.system
def test_an_interruption_ends_qemu_too(tmp_path: Path) -> None:
    _, virtual = virtual_disk(tmp_path, "qcow2")
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_source(virtual, scratch, interrupt):
        pass
    assert not any(scratch.iterdir())


@needs_qemu
@pytest.mark.system
def test_a_qcow2_never_pulls_in_another_file(tmp_path: Path) -> None:
    secret = sparse_file(tmp_path / "secret", MIB, {0: noise(1, MIB)})
    overlay = tmp_path / "overlay.qcow2"
    run("qemu-img", "create", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(overlay))
    with pytest.raises(SourceError, match="only the changes to"), open_source(overlay, tmp_path, quiet):
        pass


def test_without_qemu_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk.qcow2").write_bytes(b"QFI\xfb" + bytes(508))
    monkeypatch.setattr("protocol.disk.system_tools._ADMIN_FOLDERS", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = pytest.raises(LibraryError, match="apt install qemu-utils")
    with missing, open_source(tmp_path / "disk.qcow2", tmp_path, quiet):
        pass


@needs_root
@pytest.mark.system
def test_block_devices_are_read_and_mounted_ones_refused(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 8 * MIB)
    run("mkfs.ext4", "-q", "-F", str(disk))
    device = run("losetup", "--find", "--show", str(disk)).strip()
    mount_point = tmp_path / "mount"
    mount_point.mkdir()
    try:
        with open_source(Path(device), tmp_path, quiet) as source:
            assert (source.size, source.logical_sector_size) == (8 * MIB, 512)
            assert source.read(0, MIB) == disk.read_bytes()[:MIB]
        run("mount", "-o", "ro", device, str(mount_point))
        with pytest.raises(SourceError, match="is in use"), open_source(Path(device), tmp_path, quiet):
            pass
    finally:
        if mount_point.is_mount():
            run("umount", str(mount_point))
        run("losetup", "--detach", device)

import os
from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.exporting import export_image
from broadcaster.library.library import Library
from protocol.errors import DiskError, IntegrityError, TargetError
from protocol.manifest import Manifest
from tests.broadcaster.library.disks import MIB, needs_root, noise, run, sparse_file


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


@pytest.fixture
def manifest(library: Library, tmp_path: Path) -> Manifest:
    disk = sparse_file(tmp_path / "disk.img", 64 * MIB + 512, {MIB: noise(1, 2 * MIB), 64 * MIB: noise(2, 512)})
    return add_image(library, disk, "lab").manifest


def test_gives_back_the_disk_with_its_holes(library: Library, manifest: Manifest, tmp_path: Path) -> None:
    target = tmp_path / "export.img"
    mask = os.umask(0o027)
    try:
        export_image(library, manifest, target)
    finally:
        os.umask(mask)
    assert target.read_bytes() == (tmp_path / "disk.img").read_bytes()
    assert target.stat().st_blocks * 512 < 4 * MIB
    assert target.stat().st_mode & 0o777 == 0o640


def test_replaces_a_file_only_when_told_to(library: Library, manifest: Manifest, tmp_path: Path) -> None:
    target = tmp_path / "export.img"
    target.write_text("precious")
    with pytest.raises(TargetError, match="--force"):
        export_image(library, manifest, target)
    assert target.read_text() == "precious"
    export_image(library, manifest, target, force=True)
    assert target.stat().st_size == 64 * MIB + 512


@pytest.mark.parametrize("force", [False, True])
def test_refuses_what_is_no_plain_file(library: Library, manifest: Manifest, tmp_path: Path, force: bool) -> None:
    for target in (tmp_path, Path("/dev/null")):
        with pytest.raises(TargetError, match="no plain file"):
            export_image(library, manifest, target, force=force)
    with pytest.raises(TargetError, match="cannot be written"):
        export_image(library, manifest, tmp_path / "missing" / "export.img", force=force)


def test_a_damaged_chunk_leaves_no_file(library: Library, manifest: Manifest, tmp_path: Path) -> None:
    address = manifest[3].raw_digest.hex()
    (library.store.chunks / address[:2] / address[2:]).unlink()
    folder = tmp_path / "exports"
    folder.mkdir()
    with pytest.raises(IntegrityError, match="is missing"):
        export_image(library, manifest, folder / "export.img")
    assert list(folder.iterdir()) == []


@pytest.mark.system
@needs_root
def test_a_full_disk_leaves_no_file(library: Library, manifest: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    try:
        with pytest.raises(DiskError, match="No space left"):
            export_image(library, manifest, folder / "export.img")
        assert list(folder.iterdir()) == []
    finally:
        run("umount", str(folder))

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from broadcaster.library import shrinking
from broadcaster.library.adding import add_image
from broadcaster.library.exporting import export_image
from broadcaster.library.library import Library
from broadcaster.library.shrinking import shrink_image
from broadcaster.library.verifying import verify_image
from protocol.disk.system_tools import loop_device
from protocol.disk_fit import least_size
from protocol.errors import ConfigError, LibraryError, RefusedError
from protocol.signing import SigningKey
from tests.broadcaster.library.disks import MIB, needs, needs_root, noise, run, sparse_file, tree
from tests.broadcaster.library.small_disks import BOOT_CODE, PLACES, bytes_at, small_disk

Test = TypeVar("Test", bound=Callable[..., None])


def real(test: Test) -> Test:
    """A test with real file systems."""
    marks = (
        needs_root,
        needs("partclone.extfs", "partclone"),
        needs("ntfsresize", "ntfs-3g"),
        needs("btrfs", "btrfs-progs"),
        pytest.mark.system,
        pytest.mark.slow,
    )
    for mark in marks:
        test = mark(test)
    return test


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


def sums_are_right(disk: Path, offset: int, length: int, filesystem: str) -> None:
    kind = {"ntfs": "ntfs-3g"}.get(filesystem, filesystem)
    script = 'd=$(mktemp -d); mount -t "$2" -o ro "$1" "$d"; cd "$d"; sha256sum -c sum; cd /; umount "$d"; rmdir "$d"'
    with loop_device(disk, offset, length) as device:
        subprocess.run(["unshare", "--mount", "sh", "-euc", script, "sh", str(device), kind], check=True)


@pytest.mark.parametrize(
    ("filesystem", "table", "size"),
    [
        ("ext4", "gpt", None),
        ("ext4", "dos", 200 * MIB + 512),
        ("ntfs", "gpt", 120_000_000),
        ("btrfs", "gpt", None),
    ],
)
@real
def test_the_disk_is_smaller_and_holds_the_same(
    library: Library, tmp_path: Path, filesystem: str, table: str, size: int | None
) -> None:
    disk = small_disk(tmp_path / "disk", filesystem, table=table)
    old = add_image(library, disk, "lab").manifest.header
    signer = SigningKey(bytes(32))

    outcome = shrink_image(library, "lab", None, size, signer=signer)

    manifest = outcome.added.manifest
    header = manifest.header
    assert library.versions("lab") == [1, 2]
    assert header.version == 2
    assert "image lab, version 1" in header.source
    assert header.disk_size < old.disk_size
    assert size is None or header.disk_size == size // 512 * 512
    assert outcome.added.signature is not None
    assert verify_image(library, manifest) == []
    assert outcome.added.new_bytes < 8 * MIB, "the files' chunks were there"
    assert tree(library.root).keys() & {"scratch"} == set()
    before, after = ({each.number: each for each in each.partitions} for each in (old, header))
    assert (outcome.partition, [each.number for each in outcome.moved]) == (before[2], [3])
    assert [after[number].type for number in (1, 2, 3)] == [before[number].type for number in (1, 2, 3)]
    assert (after[1], after[2].offset, after[3].length) == (before[1], before[2].offset, before[3].length)
    assert after[2].length < before[2].length
    assert after[2].used_bytes < after[2].length or size is None, "free space is known to be free"
    assert after[3].offset < before[3].offset
    copy = tmp_path / "copy"
    export_image(library, manifest, copy)
    assert bytes_at(copy, 0, len(BOOT_CODE)) == BOOT_CODE
    assert bytes_at(copy, after[3].offset, 64 << 10) == bytes_at(disk, PLACES[3][0], 64 << 10)
    assert identities(copy) == identities(disk)
    sums_are_right(copy, after[2].offset, after[2].length, filesystem)


def identities(disk: Path) -> list[str]:
    """All that a table says but places and sizes."""
    lines = run("sfdisk", "--dump", str(disk)).splitlines()
    told = [line.partition("type=")[2] for line in lines if "type=" in line]
    return [*told, *(line for line in lines if line.startswith("label"))]


@real
def test_the_file_system_has_the_last_word_and_an_interruption_changes_nothing(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_image(library, small_disk(tmp_path / "disk", "btrfs"), "lab")
    header = library.load("lab").header
    before = tree(library.root)
    monkeypatch.setattr(shrinking, "least_size", lambda _header: 1)
    with pytest.raises(RefusedError, match=r"as small as 150\.0 MB .*: its btrfs says that the disk needs 3"):
        shrink_image(library, "lab", None, 150_000_000)

    def interrupt(what: str, _done: int, _total: int) -> None:
        if what == "shrinking btrfs":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shrink_image(library, "lab", None, least_size(header), progress=interrupt)
    assert tree(library.root) == before


def test_a_size_that_cannot_be_is_refused_before_anything_is_done(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_image(library, sparse_file(tmp_path / "disk", 2 * MIB, {0: noise(1, MIB)}), "lab")
    before = tree(library.root)
    monkeypatch.setattr(shrinking, "export_image", None)
    with pytest.raises(RefusedError, match="version 1, cannot be made smaller: it has no partition table"):
        shrink_image(library, "lab", None, MIB)
    with pytest.raises(LibraryError, match="no version 7"):
        shrink_image(library, "lab", 7, MIB)
    monkeypatch.setattr(shrinking, "why_not_smaller", lambda _header: "")
    with pytest.raises(RefusedError, match=r"fits on a disk of 2\.1 MB \(2097152 bytes\) as it is"):
        shrink_image(library, "lab", None, 2 * MIB)
    with pytest.raises(RefusedError, match=r"needs about 2\.1 MB \(2097152 bytes\)"):
        shrink_image(library, "lab", None, MIB)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="run this as root"):
        shrink_image(library, "lab", None, None)
    assert tree(library.root) == before


def test_room_for_the_copy_is_asked_for_before(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_image(library, sparse_file(tmp_path / "disk", 2 * MIB, {0: noise(1, MIB)}), "lab")
    before = tree(library.root)
    monkeypatch.setattr(shrinking, "why_not_smaller", lambda _header: "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shrinking, "_RESERVE", 1 << 60)
    with pytest.raises(RefusedError, match="free some space; nothing was changed"):
        shrink_image(library, "lab", None, None)
    assert tree(library.root) == before

import itertools
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from broadcaster.captures import publishing
from broadcaster.captures.capture_folder import CaptureFolder
from broadcaster.captures.publishing import Published, publish_capture
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.library.verifying import verify_image
from protocol.capture import decode_disk
from protocol.errors import LibraryError, ManifestError, MessageError, RefusedError
from protocol.manifest import CHUNK_SIZE
from tests.broadcaster.captures.played import PlayedDisk, record
from tests.broadcaster.library.disks import tree

Rows = Sequence[tuple[int, bytes]]


class Bench:
    """A library, and captures that are published into it."""

    def __init__(self, root: Path) -> None:
        self.library = Library.open_or_create(root / "library")
        self.keys = KeyStore.open_or_create(root / "keys")
        self._numbers = itertools.count()

    def folder(self, disk: PlayedDisk | None = None, *ids: int) -> CaptureFolder:
        """With these chunks of a disk, or all."""
        folder = CaptureFolder(self.library.root / "captures" / f"{next(self._numbers)}")
        if disk is not None:
            for digest in [disk.digests[each] for each in ids] or disk.digests:
                folder.take(disk.framed([digest])[0])
        return folder

    def publish(self, folder: CaptureFolder, disk: PlayedDisk, rows: Rows | None = None, **changes: Any) -> Published:
        proved = changes.pop("proved", frozenset())
        progress = changes.pop("progress", lambda _done: None)
        described, known = decode_disk(disk.described(**changes))
        return publish_capture(
            self.library,
            folder,
            record(),
            described,
            known if rows is None else rows,
            proved=proved,
            signer=self.keys.image,
            created="2026-11-21T20:00:00Z",
            progress=progress,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_whole_capture_becomes_a_signed_image(bench: Bench) -> None:
    disk = PlayedDisk()
    assert bench.publish(bench.folder(disk), disk) == Published(1, is_unchanged=False, new_chunk_count=6)
    manifest = bench.library.load("windows")
    assert verify_image(bench.library, manifest) == []
    signature = bench.library.signature(manifest)
    assert signature is not None
    assert bench.keys.image is not None
    assert signature.key == bench.keys.image.public
    header = manifest.header
    assert (header.source, header.created, header.partitions[0].filesystem) == (
        "pc disk",
        "2026-11-21T20:00:00Z",
        "ext4",
    )
    raw = {chunk.chunk_id: chunk.raw_digest for chunk in manifest}
    assert raw == dict(zip(disk.raw, disk.digests, strict=True))


def test_nothing_is_published_while_a_chunk_is_missing(bench: Bench) -> None:
    disk = PlayedDisk()
    folder = bench.folder(disk, 0, 1, 2)
    before = tree(bench.library.root)
    assert bench.publish(folder, disk).missing == 3
    assert tree(bench.library.root) == before
    folder.take(b"".join(disk.framed(disk.digests[3:])))
    assert bench.publish(folder, disk).version == 1


def test_the_same_disk_again_is_no_new_version_and_a_changed_one_shares_its_chunks(bench: Bench) -> None:
    disk = PlayedDisk()
    bench.publish(bench.folder(disk), disk)
    chunks = len(list(bench.library.store.digests()))
    assert bench.publish(bench.folder(), disk) == Published(1, is_unchanged=True, new_chunk_count=0)
    changed = PlayedDisk()
    changed.raw[1] = random.Random(9).randbytes(CHUNK_SIZE)
    assert bench.publish(bench.folder(changed, 1), changed) == Published(2, is_unchanged=False, new_chunk_count=1)
    assert len(list(bench.library.store.digests())) == chunks + 1
    assert verify_image(bench.library, bench.library.load("windows", 2)) == []


def test_rows_of_the_newest_version_are_used_again_only_where_the_chunk_is_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = PlayedDisk()
    bench.publish(bench.folder(disk), disk)
    read: list[bytes] = []
    reading = bench.library.store.read

    def noted(digest: bytes) -> bytes | None:
        read.append(digest)
        return reading(digest)

    monkeypatch.setattr(bench.library.store, "read", noted)
    bench.publish(bench.folder(), disk, proved=set(disk.digests))
    assert read == []
    bench.publish(bench.folder(), disk)
    assert sorted(read) == sorted(disk.digests), "what was not proved is read"
    read.clear()
    touched = bench.library.store.path(disk.digests[2])
    os.utime(touched, ns=(0, touched.stat().st_mtime_ns + 10**12))
    bench.publish(bench.folder(), disk, proved=set(disk.digests))
    assert read == [disk.digests[2]], "it may have been replaced since"


def test_a_damaged_chunk_of_the_library_is_mended_by_the_one_that_was_sent(bench: Bench) -> None:
    disk = PlayedDisk()
    bench.publish(bench.folder(disk), disk)
    place = bench.library.store.path(disk.digests[1])
    sound = place.read_bytes()
    place.write_bytes(b"rot" + sound[3:])
    assert bench.publish(bench.folder(), disk).missing == 1
    outcome = bench.publish(bench.folder(disk, 1), disk)
    assert (outcome.version, outcome.is_unchanged) == (1, True)
    assert place.read_bytes() == sound
    assert verify_image(bench.library, bench.library.load("windows")) == []


def test_a_sound_chunk_of_the_library_is_never_replaced(bench: Bench) -> None:
    """Other manifests hold digests of just these stored bytes; a machine may compress otherwise."""
    disk = PlayedDisk()
    bench.publish(bench.folder(disk), disk)
    place = bench.library.store.path(disk.digests[0])
    before = place.stat().st_ino
    bench.publish(bench.folder(disk, 0), disk)
    assert place.stat().st_ino == before


def test_a_disk_that_cannot_be_is_refused_and_leaves_nothing(bench: Bench) -> None:
    disk = PlayedDisk()
    folder = bench.folder(disk)
    before = tree(bench.library.root)
    digests = disk.digests
    wrong: list[dict[str, Any]] = [
        {"rows": [(0, digests[0]), (6, digests[1])]},  # beyond the disk
        {"rows": [(0, digests[5])]},  # the short chunk where a whole one should be
        {"rows": [(5, digests[0])]},
        {"rows": []},
        {"zero_ranges": ((0, 1),)},
        {"zero_ranges": ((7, 1),)},
        {"disk_size": 100},
        {"disk_size": 0},
        {"logical_sector_size": 513},
        {"partition_table": "sun"},
    ]
    for changes in wrong:
        with pytest.raises((ManifestError, MessageError)):
            bench.publish(folder, disk, **changes)
        assert tree(bench.library.root) == before, changes
    assert bench.publish(folder, disk).version == 1


def test_a_library_that_fills_up_at_the_end_keeps_everything_that_has_arrived(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = PlayedDisk()
    folder = bench.folder(disk)
    before = tree(bench.library.root)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bench.library, "publish", full)
        with pytest.raises(LibraryError, match="is full"):
            bench.publish(folder, disk)
    assert tree(bench.library.root) == before
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "sync_filesystem", full)
        with pytest.raises(LibraryError, match="is full"):
            bench.publish(folder, disk)
    assert tree(bench.library.root) == before
    assert bench.publish(folder, disk).version == 1


def test_it_can_be_ended_half_way(bench: Bench) -> None:
    disk = PlayedDisk()
    folder = bench.folder(disk)

    def stop(_done: float) -> None:
        raise RefusedError("stopped")

    with pytest.raises(RefusedError, match="stopped"):
        bench.publish(folder, disk, progress=stop)
    assert bench.library.names() == []
    assert bench.publish(folder, disk).version == 1


def test_what_a_machine_writes_does_nothing_to_a_terminal(bench: Bench) -> None:
    disk = PlayedDisk()
    bench.publish(bench.folder(disk), disk, source="disk\x1b[2J")
    assert "\x1b" not in bench.library.load("windows").header.source

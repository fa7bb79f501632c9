from pathlib import Path

import pytest

from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.library.verifying import read_chunk, verify_image
from protocol.errors import IntegrityError
from protocol.manifest import CHUNK_SIZE, Manifest, build_manifest
from tests.broadcaster.library.disks import MIB, noise, sparse_file


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


@pytest.fixture
def manifest(library: Library, tmp_path: Path) -> Manifest:
    disk = sparse_file(tmp_path / "disk.img", 8 * MIB, {MIB: noise(1, 4 * MIB), 6 * MIB: b"text" * (MIB // 4)})
    return add_image(library, disk, "lab").manifest


def damage(library: Library, manifest: Manifest, sbn: int) -> None:
    address = manifest[sbn].raw_digest.hex()
    path = library.store.chunks / address[:2] / address[2:]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)


def test_a_sound_image(library: Library, manifest: Manifest) -> None:
    seen: list[tuple[str, int, int]] = []
    assert verify_image(library, manifest, lambda *progress: seen.append(progress)) == []
    assert len(seen) == len(manifest)
    assert seen[-1] == ("verifying", manifest.header.stored_bytes, manifest.header.stored_bytes)


def test_every_damaged_chunk_is_named_and_none_stops_it(library: Library, manifest: Manifest) -> None:
    last = len(manifest) - 1
    for sbn in (0, 7, last):
        damage(library, manifest, sbn)
    damages = [str(error) for error in verify_image(library, manifest)]
    places = [(manifest[sbn].chunk_id, manifest[sbn].offset) for sbn in (0, 7)]
    for (chunk_id, offset), text in zip(places, damages, strict=False):
        assert text.startswith(f"image lab, version 1: chunk {chunk_id} at byte {offset} is damaged: expected digest ")
    # The four equal chunks of text are one file, so each place that uses it is named.
    assert len(damages) == 2 + 4


def test_the_raw_digest_is_checked_too(library: Library, manifest: Manifest) -> None:
    """A manifest whose stored digests are right and whose raw digest belongs to no such bytes."""
    chunk, other = manifest[0], manifest[1]
    forged = build_manifest(manifest.header, [chunk._replace(raw_digest=other.raw_digest)])
    address = other.raw_digest.hex()
    (library.store.chunks / address[:2] / address[2:]).write_bytes(noise(1, CHUNK_SIZE))
    with pytest.raises(IntegrityError, match="unpacks to other bytes"):
        read_chunk(library, forged, 0)


def test_a_stored_chunk_that_is_no_zstd(library: Library, manifest: Manifest) -> None:
    chunk = manifest[0]
    stored = b"no zstd frame"
    bound = manifest.stored_digest.of(chunk.offset, chunk.raw_length, stored)
    forged = build_manifest(manifest.header, [chunk._replace(stored_length=len(stored), stored_digest=bound)])
    address = chunk.raw_digest.hex()
    (library.store.chunks / address[:2] / address[2:]).write_bytes(stored)
    with pytest.raises(IntegrityError, match="does not unpack"):
        read_chunk(library, forged, 0)

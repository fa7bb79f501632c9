import random

import msgspec
import pytest

from broadcaster.announcement import build_announcement
from protocol.digests import StoredDigest
from protocol.errors import LibraryError
from protocol.manifest import CHUNK_SIZE, Manifest, StoredChunk, build_manifest, build_manifest_from_rows
from protocol.messages import Announcement, FecOti, decode_message, encode_message, topic_of
from tests.simulator.image import draw_image


def announce(manifest: Manifest) -> Announcement:
    return build_announcement(
        manifest,
        tsi=0xAB,
        image_key=bytes(32),
        image_signature=bytes(64),
        group="239.192.0.1",
        port=7000,
        source="192.0.2.1",
        oti=FecOti(),
    )


def manifest_of(chunk_count: int) -> Manifest:
    chunks = [StoredChunk(sbn, sbn * 4096, 4096, 9, bytes(32), bytes(32)) for sbn in range(chunk_count)]
    header = draw_image(random.Random(1), 4).manifest.header
    return build_manifest(msgspec.structs.replace(header, disk_size=chunk_count * 4096, zero_ranges=()), chunks)


def test_it_says_what_the_manifest_says() -> None:
    manifest = draw_image(random.Random(1), 9).manifest
    announcement = announce(manifest)
    assert announcement.tsi == "00000000000000ab"
    assert announcement.image.name == manifest.header.name
    assert announcement.image.disk_size == manifest.header.disk_size
    assert announcement.image.stored_bytes == manifest.header.stored_bytes
    assert announcement.manifest_digest == manifest.digest
    assert announcement.manifest_length == len(manifest.encode())


def test_every_block_of_the_manifest_is_bound_to_its_place() -> None:
    manifest = manifest_of(8000)
    encoded = manifest.encode()
    digest = StoredDigest.for_manifest(manifest.digest)
    blocks = [(offset, encoded[offset : offset + CHUNK_SIZE]) for offset in range(0, len(encoded), CHUNK_SIZE)]
    assert len(blocks) == 3
    assert announce(manifest).manifest_block_digests == tuple(
        digest.of(offset, len(block), block) for offset, block in blocks
    )


def test_it_can_be_sent() -> None:
    announcement = announce(manifest_of(8000))
    assert decode_message(topic_of(announcement), encode_message(announcement)) == announcement


@pytest.mark.slow
def test_a_manifest_that_does_not_fit_the_announcement_is_refused() -> None:
    # The rows are what it would take; checking 7 million of them is not the point here.
    header = msgspec.structs.replace(draw_image(random.Random(1), 4).manifest.header, zero_ranges=())
    largest = Manifest(header, bytes(2048 * CHUNK_SIZE - 2000))
    assert len(announce(largest).manifest_block_digests) == 2048
    with pytest.raises(LibraryError, match="too large to announce"):
        announce(Manifest(header, bytes(2048 * CHUNK_SIZE)))


def test_rows_of_any_manifest_are_checked_before() -> None:
    manifest = manifest_of(3)
    again = build_manifest_from_rows(manifest.header, manifest.encode()[-3 * 72 :])
    assert announce(again) == announce(manifest)

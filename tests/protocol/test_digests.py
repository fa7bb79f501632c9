import struct

import pytest
from blake3 import blake3

from protocol.digests import DIGEST_LENGTH, StoredDigest, raw_digest

DATA = bytes(range(256)) * 5
DISK = (1 << 40, 512, 262_144)


def test_raw_digest_is_blake3() -> None:
    # The empty input, from the official test vectors of BLAKE3.
    assert raw_digest(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert raw_digest(DATA) == blake3(DATA).digest()
    assert len(raw_digest(DATA)) == DIGEST_LENGTH


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_digests_take_any_buffer(kind: type) -> None:
    assert raw_digest(kind(DATA)) == raw_digest(DATA)
    assert StoredDigest.for_disk(*DISK).of(0, 1, kind(DATA)) == StoredDigest.for_disk(*DISK).of(0, 1, DATA)


def test_the_stored_digest_binds_geometry_and_place_as_documented() -> None:
    key = blake3(struct.pack(">QII", *DISK), derive_key_context="slatecast 2026-11 stored block of a disk").digest()
    expected = blake3(struct.pack(">QI", 524_288, 262_144) + DATA, key=key).digest()
    assert StoredDigest.for_disk(*DISK).of(524_288, 262_144, DATA) == expected


def test_the_digest_of_a_manifest_block_binds_the_manifest() -> None:
    key = blake3(raw_digest(b"manifest"), derive_key_context="slatecast 2026-11 block of a manifest").digest()
    expected = blake3(struct.pack(">QI", 0, len(DATA)) + DATA, key=key).digest()
    assert StoredDigest.for_manifest(raw_digest(b"manifest")).of(0, len(DATA), DATA) == expected


def test_no_two_places_or_objects_share_a_digest() -> None:
    digests = [
        StoredDigest.for_disk(*DISK).of(0, 262_144, DATA),
        StoredDigest.for_disk(*DISK).of(262_144, 262_144, DATA),
        StoredDigest.for_disk(*DISK).of(0, 4096, DATA),
        StoredDigest.for_disk(*DISK).of(0, 262_144, DATA[:-1]),
        StoredDigest.for_disk((1 << 40) + 512, 512, 262_144).of(0, 262_144, DATA),
        StoredDigest.for_disk(1 << 40, 4096, 262_144).of(0, 262_144, DATA),
        StoredDigest.for_disk(1 << 40, 512, 131_072).of(0, 262_144, DATA),
        StoredDigest.for_manifest(raw_digest(b"one")).of(0, 262_144, DATA),
        StoredDigest.for_manifest(raw_digest(b"two")).of(0, 262_144, DATA),
        raw_digest(DATA),
    ]
    assert len(set(digests)) == len(digests)

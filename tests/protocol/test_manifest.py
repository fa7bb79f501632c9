import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.digests import StoredDigest, raw_digest
from protocol.errors import ManifestError
from protocol.manifest import (
    CHUNK_SIZE,
    MAX_HEADER_LENGTH,
    ROW,
    ManifestHeader,
    PartitionInfo,
    StoredChunk,
    build_manifest,
    build_manifest_from_rows,
    decode_manifest,
    decode_manifest_header,
    manifest_header_end,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "manifest.json").read_text())
DISK_SIZE = 9 * CHUNK_SIZE + 512
HEADER = ManifestHeader(
    format=1,
    image_id="0" * 32,
    name="lab",
    version=1,
    created="2026-11-21T07:30:00Z",
    source="lab.img",
    disk_size=DISK_SIZE,
    logical_sector_size=512,
    partition_table="gpt",
    partitions=(PartitionInfo(number=1, offset=512, length=512, type="83", filesystem="", label="", used_bytes=512),),
    chunk_size=CHUNK_SIZE,
    codec="zstd",
    stored_chunk_count=0,
    stored_bytes=0,
    zero_ranges=((0, 1), (2, 2), (7, 1)),
    rows_digest="",
)
STORED_DIGEST = StoredDigest.for_disk(DISK_SIZE, 512, CHUNK_SIZE)


def stored_chunk(chunk_id: int, stored: bytes) -> StoredChunk:
    offset = chunk_id * CHUNK_SIZE
    raw_length = min(CHUNK_SIZE, DISK_SIZE - offset)
    digest = STORED_DIGEST.of(offset, raw_length, stored)
    return StoredChunk(chunk_id, offset, raw_length, len(stored), raw_digest(stored), digest)


def forged(header: ManifestHeader) -> bytes:
    """The rows of MANIFEST under another header, as only a peer would write them."""
    encoded = msgspec.json.encode(header)
    return b"SLATEMAN" + len(encoded).to_bytes(4) + encoded + ENCODED[-3 * ROW.size :]


CHUNKS = [stored_chunk(1, b"one"), stored_chunk(5, b"five"), stored_chunk(9, b"nine")]
MANIFEST = build_manifest(HEADER, CHUNKS)
ENCODED = MANIFEST.encode()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["title"])
def test_golden_vectors(vector: dict[str, Any]) -> None:
    encoded = bytes.fromhex(vector["manifest"])
    manifest = decode_manifest(encoded)
    assert msgspec.to_builtins(manifest.header) == msgspec.to_builtins(
        msgspec.convert(vector["header"], type=ManifestHeader)
    )
    assert manifest.digest.hex() == vector["digest"]
    assert manifest.encode() == encoded
    assert [chunk.chunk_id for chunk in manifest] == [expected["chunk_id"] for expected in vector["chunks"]]
    for chunk, expected in zip(manifest, vector["chunks"], strict=True):
        stored = bytes.fromhex(expected["stored"])
        assert manifest.stored_digest.of(chunk.offset, chunk.raw_length, stored) == chunk.stored_digest


def test_round_trip() -> None:
    decoded = decode_manifest(ENCODED)
    assert list(decoded) == CHUNKS
    assert decoded.header == MANIFEST.header
    assert decoded.digest == MANIFEST.digest
    assert (len(decoded), decoded.chunk_count, decoded.raw_length(9)) == (3, 10, 512)
    for outside in (-1, 3):
        with pytest.raises(IndexError):
            decoded[outside]


def test_rows_and_chunks_build_the_same_manifest() -> None:
    rows = ENCODED[-3 * ROW.size :]
    assert build_manifest_from_rows(HEADER, rows).encode() == ENCODED


def test_reads_any_slice_of_the_canonical_bytes() -> None:
    assert MANIFEST.encoded_length == len(ENCODED)
    step = 37
    for offset in range(0, len(ENCODED) + step, step):
        for length in (0, 1, step, len(ENCODED)):
            assert MANIFEST.read(offset, length) == ENCODED[offset : offset + length]


def test_the_header_decodes_without_its_rows() -> None:
    end = manifest_header_end(ENCODED[:12])
    assert decode_manifest_header(ENCODED[:end]) == MANIFEST.header
    assert decode_manifest_header(ENCODED) == MANIFEST.header


def test_truncated_at_every_length() -> None:
    for length in range(len(ENCODED)):
        with pytest.raises(ManifestError):
            decode_manifest(ENCODED[:length])


@pytest.mark.parametrize("trailing", [b"\0", ENCODED[-ROW.size :], ENCODED])
def test_trailing_bytes(trailing: bytes) -> None:
    with pytest.raises(ManifestError):
        decode_manifest(ENCODED + trailing)


@given(st.integers(0, len(ENCODED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_is_another_canonical_manifest(position: int, change: int) -> None:
    mutated = bytearray(ENCODED)
    mutated[position] ^= change
    try:
        manifest = decode_manifest(mutated)
    except ManifestError:
        return
    assert manifest.encode() == mutated
    assert manifest.digest != MANIFEST.digest


@given(st.binary(max_size=300))
def test_any_bytes_are_a_manifest_or_a_manifest_error(data: bytes) -> None:
    for candidate in (data, ENCODED[:12] + data):
        with pytest.raises(ManifestError):
            decode_manifest(candidate)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"image_id": "0" * 31},
        {"image_id": "G" * 32},
        {"name": ""},
        {"name": "../etc"},
        {"name": "a\n"},
        {"version": 0},
        {"disk_size": 0},
        {"disk_size": DISK_SIZE + 1},
        {"disk_size": -512},
        {"disk_size": (CHUNK_SIZE << 32) + 512},
        {"logical_sector_size": 1024},
        {"partition_table": "apm"},
        {"chunk_size": 3},
        {"chunk_size": 2 * CHUNK_SIZE},
        {"codec": "gzip"},
        {"zero_ranges": ((0, 0),)},
        {"zero_ranges": ((3, 1), (2, 1))},
        {"zero_ranges": ((2, 1), (3, 1))},
        {"zero_ranges": ((6, 5),)},
        {"zero_ranges": ((0, 2),)},
        {"zero_ranges": ((-1, 1),)},
    ],
    ids=str,
)
def test_impossible_headers(change: dict[str, Any]) -> None:
    with pytest.raises(ManifestError):
        build_manifest(msgspec.structs.replace(HEADER, **change), CHUNKS)
    header = msgspec.structs.replace(MANIFEST.header, **change)
    with pytest.raises(ManifestError):
        decode_manifest(forged(header))


@pytest.mark.parametrize(("offset", "length"), [(-512, 512), (0, DISK_SIZE + 1), (DISK_SIZE, 1), (512, -1)])
def test_partitions_outside_the_disk(offset: int, length: int) -> None:
    partition = msgspec.structs.replace(HEADER.partitions[0], offset=offset, length=length)
    with pytest.raises(ManifestError):
        build_manifest(msgspec.structs.replace(HEADER, partitions=(partition,)), CHUNKS)


@pytest.mark.parametrize(
    "chunks",
    [
        [CHUNKS[1], CHUNKS[0]],
        [CHUNKS[0], CHUNKS[0]],
        [CHUNKS[0]._replace(chunk_id=10)],
        [CHUNKS[0]._replace(chunk_id=0)],
        [CHUNKS[0]._replace(stored_length=0)],
        [CHUNKS[0]._replace(stored_length=CHUNK_SIZE + 1)],
        [CHUNKS[2]._replace(stored_length=513)],
    ],
    ids=["descending", "twice", "beyond the disk", "zero and stored", "empty", "too long", "short chunk too long"],
)
def test_impossible_rows(chunks: list[StoredChunk]) -> None:
    with pytest.raises(ManifestError):
        build_manifest(HEADER, chunks)


@pytest.mark.parametrize(
    "change", [{"stored_chunk_count": 2}, {"stored_bytes": 12}, {"rows_digest": "0" * 64}], ids=str
)
def test_headers_that_contradict_their_rows(change: dict[str, Any]) -> None:
    header = msgspec.structs.replace(MANIFEST.header, **change)
    with pytest.raises(ManifestError):
        decode_manifest(forged(header))


def test_a_forged_header_length_is_refused_before_anything_is_parsed() -> None:
    with pytest.raises(ManifestError):
        manifest_header_end(b"SLATEMAN" + (MAX_HEADER_LENGTH + 1).to_bytes(4))


def test_a_header_that_is_not_canonical() -> None:
    end = manifest_header_end(ENCODED)
    spaced = ENCODED[12:end].replace(b",", b", ", 1)
    with pytest.raises(ManifestError, match="canonical"):
        decode_manifest(b"SLATEMAN" + len(spaced).to_bytes(4) + spaced + ENCODED[end:])

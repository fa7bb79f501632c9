import contextlib
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.capture import (
    MAX_FINDINGS,
    CaptureAddress,
    CapturedDisk,
    CaptureFailure,
    Finding,
    FindingKind,
    FramedChunk,
    decode_chunks,
    decode_disk,
    decode_lacking,
    encode_chunk,
    encode_disk,
    encode_lacking,
)
from protocol.errors import MessageError
from protocol.manifest import CHUNK_SIZE, MAX_HEADER_LENGTH, PartitionInfo
from protocol.seat_api import decode_api

PARTITION = PartitionInfo(number=1, offset=0, length=4096, type="t", filesystem="ext4", label="l", used_bytes=512)
ROWS = [(0, b"\1" * 32), (3, b"\2" * 32), (0xFFFFFFFF, b"\3" * 32)]


def disk(**changes: Any) -> CapturedDisk:
    known: dict[str, Any] = {
        "source": "pc-1: Samsung SSD",
        "disk_size": 1 << 20,
        "logical_sector_size": 512,
        "partition_table": "gpt",
        "partitions": (PARTITION,),
        "zero_ranges": ((1, 2),),
        "findings": (Finding(kind=FindingKind.WARNING, code="dirty", where="1", text="not unmounted"),),
    }
    return CapturedDisk(**{**known, **changes})


def test_a_disk_comes_back_with_rows_that_are_only_looked_at() -> None:
    body = encode_disk(disk(), ROWS)
    found, rows = decode_disk(memoryview(body))
    assert found == disk()
    assert list(rows) == ROWS
    assert (len(rows), rows[0], rows[-1], rows[1:]) == (3, ROWS[0], ROWS[2], ROWS[1:])
    with pytest.raises(IndexError):
        rows[3]
    assert len(decode_disk(encode_disk(disk(), []))[1]) == 0


def test_the_layout_of_a_disk() -> None:
    header = msgspec.json.encode(disk())
    assert encode_disk(disk(), ROWS[1:2]) == len(header).to_bytes(4) + header + (3).to_bytes(4) + b"\2" * 32


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\1",
        (MAX_HEADER_LENGTH + 1).to_bytes(4) + bytes(MAX_HEADER_LENGTH + 1),
        b"\0\0\0\2{}",
        b"\0\0\0\1[",
        encode_disk(disk(), ROWS)[:-1],
        encode_disk(disk(), ROWS) + b"\0",
        encode_disk(disk(), [ROWS[1], ROWS[0]]),
        encode_disk(disk(), [ROWS[1], ROWS[1]]),
        encode_disk(disk(partitions=(msgspec.structs.replace(PARTITION, number=-1),)), []),
        encode_disk(disk(partitions=(msgspec.structs.replace(PARTITION, used_bytes=1 << 21),)), []),
        encode_disk(disk(logical_sector_size=256), []),
    ],
    ids=range(13),
)
def test_what_is_no_disk(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode_disk(body)


def test_chunks_come_back_as_views() -> None:
    chunks = [FramedChunk(bytes([number]) * 32, 1000, bytes(number)) for number in (1, 200, 255)]
    body = b"".join(map(encode_chunk, chunks))
    found = list(decode_chunks(body))
    assert [(each.raw_digest, each.raw_length, bytes(each.stored)) for each in found] == chunks
    assert list(decode_chunks(b"")) == []
    assert body[:40] == b"\1" * 32 + (1000).to_bytes(4) + (1).to_bytes(4)


@pytest.mark.parametrize(
    ("raw_length", "stored_length"), [(0, 0), (10, 0), (10, 11), (CHUNK_SIZE + 1, 5), (1 << 32 - 1, 1)]
)
def test_a_chunk_that_cannot_be(raw_length: int, stored_length: int) -> None:
    with pytest.raises(MessageError, match="cannot be"):
        list(decode_chunks(bytes(32) + raw_length.to_bytes(4) + stored_length.to_bytes(4) + bytes(stored_length)))


def test_chunks_that_are_cut_short() -> None:
    body = encode_chunk(FramedChunk(bytes(32), 100, bytes(50))) * 2
    for length in range(1, len(body)):
        if length != len(body) // 2:
            with pytest.raises(MessageError, match="cut short"):
                list(decode_chunks(body[:length]))


@given(st.lists(st.booleans(), max_size=300))
def test_bits_come_back(lacking: list[bool]) -> None:
    body = encode_lacking(lacking)
    assert len(body) == -(-len(lacking) // 8)
    assert decode_lacking(body, len(lacking)) == lacking


def test_bits_of_another_length_or_behind_the_end() -> None:
    assert encode_lacking([True, False, True]) == b"\xa0"
    for body, count in ((b"\xa0", 9), (b"\xa0\0", 8), (b"\xb0", 3)):
        with pytest.raises(MessageError):
            decode_lacking(body, count)


@pytest.mark.parametrize("what", ["", "lacking", "chunks", "disk", "progress", "failure"])
def test_addresses(what: str) -> None:
    address = CaptureAddress("0123456789abcdef", what)
    assert CaptureAddress.parse(str(address)) == address
    for stray in (f"{address}/", f"{address}x", str(address).upper(), f"{address}\n", f"{address}?a"):
        assert CaptureAddress.parse(stray) is None


def test_a_failure_is_bounded() -> None:
    finding = Finding(kind=FindingKind.REFUSAL, code="bitlocker", where="3", text="encrypted")
    body = msgspec.json.encode(CaptureFailure(is_refused=True, reason="no", findings=(finding,) * MAX_FINDINGS))
    assert len(decode_api(body, CaptureFailure).findings) == MAX_FINDINGS
    body = msgspec.json.encode(CaptureFailure(is_refused=True, reason="no", findings=(finding,) * (MAX_FINDINGS + 1)))
    with pytest.raises(MessageError):
        decode_api(body, CaptureFailure)


def test_any_bytes_are_a_disk_or_a_message_error() -> None:
    drawn = random.Random(5)
    for _ in range(300):
        mangled = bytearray(encode_disk(disk(), ROWS))
        for _ in range(drawn.randint(1, 4)):
            mangled[drawn.randrange(len(mangled))] = drawn.randrange(256)
        with contextlib.suppress(MessageError):
            decode_disk(bytes(mangled))

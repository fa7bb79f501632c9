import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import WireError
from protocol.wire import (
    ENCODING_SYMBOL_LENGTH,
    HEADER_LENGTH,
    MAX_ENCODING_SYMBOLS,
    MAX_REPAIR_SYMBOLS,
    MAX_SOURCE_BLOCK_LENGTH,
    TAG_LENGTH,
    TOI_DISK,
    DatagramHeader,
    FecPayloadId,
    decode_header,
    encode_header,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "wire.json").read_text())
BODY = bytes(1 + TAG_LENGTH)
"""The least that can follow a header."""


@pytest.mark.parametrize("vector", VECTORS["datagrams"], ids=lambda vector: vector["header"])
def test_golden_headers(vector: dict[str, Any]) -> None:
    tsi, toi, sbn, k, esi = (VECTORS["tsi"], *(vector[f] for f in ("toi", "sbn", "source_block_length", "esi")))
    header = encode_header(tsi, toi, sbn, k, esi)
    assert header == bytes.fromhex(str(vector["header"]))
    assert decode_header(bytes.fromhex(str(vector["datagram"]))) == DatagramHeader(tsi, toi, FecPayloadId(sbn, k, esi))


def test_a_full_datagram_fits_ethernet_with_ipv6() -> None:
    assert HEADER_LENGTH + ENCODING_SYMBOL_LENGTH + TAG_LENGTH + 8 + 40 <= 1500
    assert ENCODING_SYMBOL_LENGTH % 8 == 0
    assert MAX_ENCODING_SYMBOLS == 255


@pytest.mark.parametrize("vector", VECTORS["datagrams"], ids=lambda vector: vector["header"])
def test_truncated_at_every_length(vector: dict[str, Any]) -> None:
    datagram = bytes.fromhex(str(vector["datagram"]))
    for length in range(HEADER_LENGTH + TAG_LENGTH + 1):
        with pytest.raises(WireError):
            decode_header(datagram[:length])
    whole = decode_header(datagram)
    assert decode_header(datagram[: HEADER_LENGTH + TAG_LENGTH + 1]) == whole
    assert decode_header(datagram + b"trailing") == whole


@pytest.mark.parametrize(
    ("position", "value", "word"),
    [
        (0, 0x5D, "magic"),
        (1, 0x58, "magic"),
        (2, 0, "version"),
        (2, 2, "version"),
        (3, TOI_DISK + 1, "toi"),
        (3, 255, "toi"),
        (16, 0, "source block length"),
        (16, MAX_SOURCE_BLOCK_LENGTH + 1, "source block length"),
        (17, 100 + MAX_REPAIR_SYMBOLS, "esi"),
        (17, 255, "esi"),
    ],
)
def test_each_field_out_of_bounds_is_named(position: int, value: int, word: str) -> None:
    datagram = bytearray(encode_header(7, 1, 2, 100, 3) + BODY)
    decode_header(datagram)
    datagram[position] = value
    with pytest.raises(WireError, match=word):
        decode_header(datagram)


def test_the_bounds_of_k_and_esi_are_exact() -> None:
    for k, esi in product(range(256), repeat=2):
        datagram = encode_header(7, 1, 2, k, esi) + BODY
        if 1 <= k <= MAX_SOURCE_BLOCK_LENGTH and esi < k + MAX_REPAIR_SYMBOLS:
            assert decode_header(datagram).payload_id == (2, k, esi)
        else:
            with pytest.raises(WireError):
                decode_header(datagram)


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda rest: b"\x5c\x57\x01\x01" + rest))
def test_any_bytes_give_a_header_or_a_wire_error(datagram: bytes) -> None:
    try:
        tsi, toi, (sbn, k, esi) = decode_header(memoryview(datagram))
    except WireError:
        return
    assert encode_header(tsi, toi, sbn, k, esi) == datagram[:HEADER_LENGTH]


@given(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1]),
    st.integers(0, 2**32 - 1),
    st.integers(1, MAX_SOURCE_BLOCK_LENGTH).flatmap(
        lambda k: st.tuples(st.just(k), st.integers(0, k + MAX_REPAIR_SYMBOLS - 1))
    ),
)
def test_every_header_comes_back(tsi: int, toi: int, sbn: int, k_and_esi: tuple[int, int]) -> None:
    k, esi = k_and_esi
    datagram = encode_header(tsi, toi, sbn, k, esi) + BODY
    assert decode_header(datagram) == DatagramHeader(tsi, toi, FecPayloadId(sbn, k, esi))

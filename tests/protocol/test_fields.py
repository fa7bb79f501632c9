"""Bounded types by themselves; that each message holds its fields to them is tested with the message."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import fields
from protocol.fields import decode_tsi, encode_tsi, printable


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (fields.Tsi, "0" * 16, "0" * 16 + "\n"),
        (fields.ReceiverId, "f" * 32, "F" * 32),
        (fields.ShortText, "x" * 64, "x" * 65),
        (fields.LongText, "x" * 400, "x" * 401),
        (fields.Count, 1 << 62, -1),
        (fields.BlockNumber, (1 << 32) - 1, 1 << 32),
        (fields.SymbolCount, 191, 0),
        (fields.Ratio, 1.0, 1.5),
        (fields.Toi, 1, 2),
        (fields.BitmapBlocks, fields.MAX_BITMAP_BLOCKS, fields.MAX_BITMAP_BLOCKS + 1),
        (fields.EsiBitmap, bytes(24), bytes(25)),
        (fields.Digest, bytes(32), bytes(31)),
        (fields.Key, bytes(32), bytes(33)),
        (fields.Nonce, bytes(16), bytes(17)),
        (fields.Signature, bytes(64), bytes(63)),
        (fields.SignedBytes, bytes(fields.MAX_SIGNED_LENGTH), bytes(fields.MAX_SIGNED_LENGTH + 1)),
    ],
)
def test_a_type_ends_at_its_bound(kind: Any, good: object, bad: object) -> None:
    decoder = msgspec.json.Decoder(kind)
    assert decoder.decode(msgspec.json.encode(good)) == good
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(msgspec.json.encode(bad))


@given(st.integers(0, (1 << 64) - 1))
def test_a_tsi_is_sixteen_digits_and_back(tsi: int) -> None:
    assert len(encode_tsi(tsi)) == 16
    assert decode_tsi(encode_tsi(tsi)) == tsi


@given(st.text())
def test_what_is_printable_is_one_line_of_the_same_length(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    assert [letter for letter in shown if letter != fields.UNPRINTABLE] == [
        letter for letter in text if letter.isprintable() and letter != fields.UNPRINTABLE
    ]

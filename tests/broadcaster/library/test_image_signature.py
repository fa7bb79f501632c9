import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.library.image_signature import (
    MAX_SIGNATURE_FILE,
    decode_signature,
    encode_signature,
    sign_digest,
)
from protocol.errors import LibraryError
from protocol.signing import Purpose, SigningKey, verify

SIGNER = SigningKey(bytes(range(32)))
DIGEST = bytes(range(100, 132))
SIGNATURE = sign_digest(DIGEST, SIGNER)
ENCODED = encode_signature(SIGNATURE)


def test_the_digest_is_signed_for_this_purpose() -> None:
    assert SIGNATURE.key == SIGNER.public
    verify(SIGNER.public, Purpose.IMAGE, DIGEST, SIGNATURE.signature)


def test_a_signature_comes_back() -> None:
    assert len(ENCODED) == 157
    assert decode_signature(ENCODED, DIGEST) == SIGNATURE


def test_the_signature_of_another_image() -> None:
    with pytest.raises(LibraryError, match="is not one of this manifest"):
        decode_signature(ENCODED, bytes(32))


@pytest.mark.parametrize(
    "change",
    [
        {"key": base64.b64encode(SigningKey(bytes(32)).public).decode()},
        {"key": base64.b64encode(b"\xff" * 32).decode()},
        {"key": base64.b64encode(bytes(31)).decode()},
        {"signature": base64.b64encode(SIGNER.sign(Purpose.TICKET, DIGEST)).decode()},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": ""},
        {"strange": 1},
    ],
)
def test_what_is_no_signature_of_this_image(change: dict[str, Any]) -> None:
    with pytest.raises(LibraryError):
        decode_signature(json.dumps({**json.loads(ENCODED), **change}).encode(), DIGEST)


def test_a_long_file_is_not_read() -> None:
    with pytest.raises(LibraryError, match="too long"):
        decode_signature(ENCODED + b" " * MAX_SIGNATURE_FILE, DIGEST)


@pytest.mark.parametrize("length", range(len(ENCODED)))
def test_truncated(length: int) -> None:
    with pytest.raises(LibraryError):
        decode_signature(ENCODED[:length], DIGEST)


@given(st.binary(max_size=300) | st.integers(0, 900).map(lambda depth: b"[" * depth))
def test_any_bytes_are_an_error(encoded: bytes) -> None:
    with pytest.raises(LibraryError):
        decode_signature(encoded, DIGEST)


@pytest.mark.slow
@given(st.integers(0, len(ENCODED) - 1), st.integers(1, 255))
def test_a_mutation_is_an_error_or_says_the_same(place: int, value: int) -> None:
    """Base64 leaves two bits of its last letter unused, so other bytes may mean the same."""
    mutated = bytearray(ENCODED)
    mutated[place] ^= value
    try:
        signature = decode_signature(bytes(mutated), DIGEST)
    except LibraryError:
        return
    assert signature == SIGNATURE

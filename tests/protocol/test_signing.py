import contextlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol import signing
from protocol.errors import SessionStateError, SignatureError
from protocol.signing import FINGERPRINT_LENGTH, SIGNATURE_LENGTH, Purpose, SigningKey, fingerprint, verify

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(range(1, 33)))
MESSAGE = b"write this image"
ORDER_OF_THE_GROUP = (1 << 252) + 27742317777372353535851937790883648493


def test_a_signature_is_accepted_for_its_key_purpose_and_message() -> None:
    signature = KEY.sign(Purpose.TICKET, MESSAGE)
    assert len(signature) == SIGNATURE_LENGTH
    verify(KEY.public, Purpose.TICKET, MESSAGE, signature)


def test_the_same_seed_is_the_same_key_and_signs_the_same() -> None:
    again = SigningKey(bytes(range(32)))
    assert again.public == KEY.public
    assert again.sign(Purpose.AUDIT, MESSAGE) == KEY.sign(Purpose.AUDIT, MESSAGE)


def test_the_first_test_of_the_rfc_has_its_public_key() -> None:
    # RFC 8032 section 7.1, TEST 1
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert SigningKey(seed).public == public


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("other", Purpose)
def test_a_signature_for_one_purpose_is_none_for_another(purpose: Purpose, other: Purpose) -> None:
    signature = KEY.sign(purpose, MESSAGE)
    if purpose is other:
        verify(KEY.public, other, MESSAGE, signature)
        return
    with pytest.raises(SignatureError, match=f"the {other.name.lower()} signature does not match"):
        verify(KEY.public, other, MESSAGE, signature)


def test_no_purpose_and_message_share_their_bytes_with_another_purpose() -> None:
    # A message that continues the name of one purpose must not read as the name of another one.
    assert not any(a != b and b.startswith(a) for a in Purpose for b in Purpose)
    assert not any("\0" in purpose for purpose in Purpose)


def test_another_key_does_not_do() -> None:
    with pytest.raises(SignatureError):
        verify(OTHER.public, Purpose.TICKET, MESSAGE, KEY.sign(Purpose.TICKET, MESSAGE))


def test_no_bit_of_a_signature_may_flip() -> None:
    signature = int.from_bytes(KEY.sign(Purpose.TICKET, MESSAGE))
    for bit in range(8 * SIGNATURE_LENGTH):
        with pytest.raises(SignatureError):
            verify(KEY.public, Purpose.TICKET, MESSAGE, (signature ^ 1 << bit).to_bytes(SIGNATURE_LENGTH))


def test_the_second_signature_that_arithmetic_allows_is_refused() -> None:
    # RFC 8032 section 5.1.7: S must be below the order of the group, or everybody can make a second signature of one.
    signature = KEY.sign(Purpose.TICKET, MESSAGE)
    raised = int.from_bytes(signature[32:], "little") + ORDER_OF_THE_GROUP
    with pytest.raises(SignatureError):
        verify(KEY.public, Purpose.TICKET, MESSAGE, signature[:32] + raised.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(SignatureError):
        verify(KEY.public, Purpose.TICKET, MESSAGE, KEY.sign(Purpose.TICKET, MESSAGE).ljust(length, b"\0")[:length])


@pytest.mark.parametrize("public", [b"", b"\0" * 31, b"\xff" * 32, b"\x02" * 33], ids=lambda key: f"{len(key)} bytes")
def test_what_is_no_key_signs_nothing(public: bytes) -> None:
    with pytest.raises(SignatureError):
        verify(public, Purpose.TICKET, MESSAGE, KEY.sign(Purpose.TICKET, MESSAGE))


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("key", sorted(signing._EVERYBODYS_KEYS), ids=lambda key: key.hex()[:6])
def test_a_key_that_anybody_can_sign_with_is_refused(key: bytes, sign: int) -> None:
    # The neutral element and S = 0 are a signature of one message in eight at least.
    public, signature = key[:-1] + bytes([key[-1] | sign]), b"\1" + bytes(63)
    with pytest.raises(SignatureError, match="anybody can sign with"):
        verify(public, Purpose.TICKET, MESSAGE, signature)


@pytest.mark.parametrize(
    "key",
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ],
    ids=["order 1", "order 2", "order 4", "order 8"],
)
def test_such_keys_are_a_danger_indeed(key: str) -> None:
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    accepted = 0
    for number in range(64):
        with contextlib.suppress(InvalidSignature):
            public.verify(b"\1" + bytes(63), bytes([number]))
            accepted += 1
    assert accepted


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(SessionStateError, match="31 bytes instead of 32"):
        SigningKey(bytes(31))


def test_a_key_shows_its_fingerprint_and_no_secret() -> None:
    assert repr(KEY) == f"SigningKey({fingerprint(KEY.public).hex()})"
    assert bytes(range(32)).hex() not in repr(KEY)


def test_fingerprints_are_of_fixed_length_and_differ() -> None:
    assert len(fingerprint(KEY.public)) == FINGERPRINT_LENGTH
    assert fingerprint(KEY.public) != fingerprint(OTHER.public)

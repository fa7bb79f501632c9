import pytest

from protocol.errors import SealError, SessionStateError
from protocol.sealed_box import OVERHEAD, OpeningKey, seal_to

KEY = OpeningKey(bytes(range(32)))
OTHER = OpeningKey(bytes(range(1, 33)))
SECRET = bytes(range(100, 132))
CONTEXT = b"session 1"

LOW_ORDER = (
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
)
"""Keys with which every agreed secret is zero, RFC 7748 section 6.1."""


def test_what_is_sealed_is_opened() -> None:
    box = seal_to(KEY.public, SECRET, CONTEXT)
    assert len(box) == len(SECRET) + OVERHEAD
    assert KEY.open(box, CONTEXT) == SECRET


def test_two_boxes_of_one_secret_differ() -> None:
    assert seal_to(KEY.public, SECRET, CONTEXT) != seal_to(KEY.public, SECRET, CONTEXT)


def test_a_box_does_not_show_its_secret() -> None:
    assert SECRET not in seal_to(KEY.public, SECRET, CONTEXT)


def test_nobody_else_opens_it() -> None:
    with pytest.raises(SealError, match="not made for us"):
        OTHER.open(seal_to(KEY.public, SECRET, CONTEXT), CONTEXT)


@pytest.mark.parametrize("context", [b"", b"session 2", CONTEXT + b"\0"])
def test_it_does_not_open_elsewhere(context: bytes) -> None:
    with pytest.raises(SealError):
        KEY.open(seal_to(KEY.public, SECRET, CONTEXT), context)


def test_no_bit_may_flip_not_even_the_one_that_the_curve_ignores() -> None:
    box = seal_to(KEY.public, SECRET, CONTEXT)
    for bit in range(8 * len(box)):
        flipped = bytearray(box)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealError):
            KEY.open(bytes(flipped), CONTEXT)


@pytest.mark.parametrize("length", [0, 1, 31, 32, 47, 48, 79])
def test_a_box_cut_short_does_not_open(length: int) -> None:
    with pytest.raises(SealError):
        KEY.open(seal_to(KEY.public, SECRET, CONTEXT)[:length], CONTEXT)


def test_a_box_with_more_behind_does_not_open() -> None:
    with pytest.raises(SealError):
        KEY.open(seal_to(KEY.public, SECRET, CONTEXT) + b"\0", CONTEXT)


@pytest.mark.parametrize("key", LOW_ORDER, ids=lambda key: key[:6])
def test_nothing_is_sealed_to_a_key_that_everybody_shares(key: str) -> None:
    with pytest.raises(SealError, match="cannot be used"):
        seal_to(bytes.fromhex(key), SECRET, CONTEXT)
    with pytest.raises(SealError):
        KEY.open(bytes.fromhex(key) + bytes(48), CONTEXT)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_have_32_bytes(length: int) -> None:
    with pytest.raises(SealError, match="cannot be used"):
        seal_to(bytes([9]) * length, SECRET, CONTEXT)
    with pytest.raises(SessionStateError, match=f"an opening key of {length} bytes"):
        OpeningKey(bytes(length))


def test_a_key_shows_no_secret() -> None:
    assert repr(KEY) == f"OpeningKey({KEY.public.hex()[:8]})"

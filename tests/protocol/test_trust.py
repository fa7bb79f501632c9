import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MessageError, SessionStateError
from protocol.signing import Purpose, SigningKey
from protocol.trust import (
    MAX_AUTHORITY_LENGTH,
    MAX_IMAGE_KEYS,
    MAX_ROTATIONS,
    MAX_TRUST_LENGTH,
    Rotation,
    Trust,
    decode_trust,
    encode_trust,
    follows,
    succeed,
)
from tests.certificates import certificate

AUTHORITY = certificate()


def key(number: int) -> SigningKey:
    return SigningKey(bytes([number]) * 32)


FIRST = Trust(director_key=key(1).public, image_keys=(key(101).public,), authority=AUTHORITY)
IMAGE_ADDED = succeed(FIRST, key(1), image_keys=(key(102).public, key(101).public))
DIRECTOR_CHANGED = succeed(IMAGE_ADDED, key(1), director_key=key(2).public)
IMAGE_REVOKED = succeed(DIRECTOR_CHANGED, key(2), image_keys=(key(102).public,))
LAST = succeed(IMAGE_REVOKED, key(2), director_key=key(3).public)
HISTORY = [FIRST, IMAGE_ADDED, DIRECTOR_CHANGED, IMAGE_REVOKED, LAST]


@pytest.mark.parametrize("trust", HISTORY, ids=lambda trust: str(trust.serial))
def test_a_trust_comes_back(trust: Trust) -> None:
    assert decode_trust(encode_trust(trust)) == trust
    assert encode_trust(decode_trust(encode_trust(trust))) == encode_trust(trust)


def test_the_longest_trust_fits() -> None:
    trust = Trust(director_key=key(1).public, image_keys=tuple(bytes([n]) * 32 for n in range(16)), authority=AUTHORITY)
    for _ in range(MAX_ROTATIONS + 3):
        trust = succeed(trust, key(1))
    longest = msgspec.structs.replace(trust, authority=b"x" * MAX_AUTHORITY_LENGTH, serial=1 << 62)
    assert len(trust.superseded) == MAX_ROTATIONS
    assert len(encode_trust(longest)) < MAX_TRUST_LENGTH
    assert decode_trust(encode_trust(trust)) == trust


def test_a_trust_follows_each_earlier_one_and_no_later_one() -> None:
    for newer, new in enumerate(HISTORY):
        for older, old in enumerate(HISTORY):
            assert follows(new, old) == (newer >= older), (newer, older)


def test_a_trust_without_its_history_is_still_the_same() -> None:
    bare = msgspec.structs.replace(LAST, superseded=())
    assert follows(bare, LAST)
    assert follows(LAST, bare)
    assert not follows(bare, IMAGE_REVOKED)


def test_who_slept_through_too_many_changes_is_enrolled_anew() -> None:
    trust = FIRST
    for _ in range(MAX_ROTATIONS):
        trust = succeed(trust, key(1))
    assert follows(trust, FIRST)
    assert not follows(succeed(trust, key(1)), FIRST)


def test_a_replaced_director_cannot_lead_away_those_who_know_the_next() -> None:
    stolen = succeed(IMAGE_ADDED, key(1), director_key=key(66).public)
    further = succeed(stolen, key(66), image_keys=(key(166).public,))
    assert follows(further, IMAGE_ADDED)  # nobody can help those who have not heard of the change
    for known in (DIRECTOR_CHANGED, IMAGE_REVOKED, LAST):
        assert not follows(stolen, known)
        assert not follows(further, known)


def test_a_strange_trust_never_follows() -> None:
    strange = Trust(director_key=key(66).public, image_keys=(key(101).public,), authority=AUTHORITY)
    for other in (strange, succeed(strange, key(66), director_key=key(1).public)):
        assert not follows(other, FIRST)
        assert not follows(FIRST, other)


def test_every_field_of_the_newest_is_signed() -> None:
    for change in (
        {"director_key": key(66).public},
        {"image_keys": (key(166).public,)},
        {"image_keys": (*LAST.image_keys, key(166).public)},
        {"authority": certificate()},
        {"serial": LAST.serial + 1},
        {"superseded": LAST.superseded[1:]},
        {"superseded": LAST.superseded[:-1]},
        {"superseded": LAST.superseded[::-1]},
        {"superseded": LAST.superseded + LAST.superseded[-1:]},
    ):
        assert not follows(msgspec.structs.replace(LAST, **change), FIRST), change


@pytest.mark.parametrize("step", range(len(LAST.superseded)))
def test_every_field_of_a_rotation_is_signed(step: int) -> None:
    rotation = LAST.superseded[step]
    forged: list[Rotation] = [
        msgspec.structs.replace(rotation, serial=rotation.serial + 1),
        msgspec.structs.replace(rotation, director_key=key(66).public),
        msgspec.structs.replace(rotation, digest=bytes(32)),
        msgspec.structs.replace(rotation, signature=bytes(64)),
    ]
    for each in forged:
        chain = (*LAST.superseded[:step], each, *LAST.superseded[step + 1 :])
        assert not follows(msgspec.structs.replace(LAST, superseded=chain), FIRST)


def test_a_rotation_names_the_director_of_its_trust() -> None:
    rotation = DIRECTOR_CHANGED.superseded[-1]
    body = rotation.serial.to_bytes(8) + key(66).public + rotation.digest
    lying = Rotation(
        serial=rotation.serial,
        director_key=key(66).public,
        digest=rotation.digest,
        signature=key(1).sign(Purpose.ROTATION, body),
    )
    assert not follows(msgspec.structs.replace(DIRECTOR_CHANGED, superseded=(lying,)), IMAGE_ADDED)


def test_a_signature_for_another_purpose_is_no_rotation() -> None:
    rotation = IMAGE_ADDED.superseded[0]
    body = rotation.serial.to_bytes(8) + rotation.director_key + rotation.digest
    assert key(1).sign(Purpose.ROTATION, body) == rotation.signature
    other = msgspec.structs.replace(rotation, signature=key(1).sign(Purpose.TICKET, body))
    assert not follows(msgspec.structs.replace(IMAGE_ADDED, superseded=(other,)), FIRST)


def test_a_change_must_be_possible() -> None:
    with pytest.raises(SessionStateError, match="in force"):
        succeed(FIRST, key(2), director_key=key(2).public)
    many = [key(number).public for number in range(100, 100 + MAX_IMAGE_KEYS + 1)]
    for keys in ([], many, [many[0], many[0]]):
        with pytest.raises(SessionStateError, match="distinct image keys"):
            succeed(FIRST, key(1), image_keys=keys)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"director_key": "AAAA"}, "trust: "),
        ({"image_keys": []}, "trust: "),
        ({"image_keys": ["A" * 43 + "="] * 2}, "twice"),
        ({"image_keys": ["A" * 43 + "="] * (MAX_IMAGE_KEYS + 1)}, "trust: "),
        ({"authority": ""}, "trust: "),
        ({"authority": "AAAA"}, "no certificate"),
        ({"serial": -1}, "trust: "),
        ({"superseded": [{}]}, "trust: "),
        ({"strange": 1}, "trust: "),
        ({"director_key": None}, "trust: "),
    ],
)
def test_what_is_no_trust(change: dict[str, Any], text: str) -> None:
    fields = json.loads(encode_trust(FIRST))
    with pytest.raises(MessageError, match=text):
        decode_trust(json.dumps({**fields, **change}).encode())


@pytest.mark.parametrize(
    "authority",
    [
        AUTHORITY + AUTHORITY,
        AUTHORITY + b"\n",
        b"a line\n" + AUTHORITY,
        AUTHORITY.replace(b"\n", b"\r\n"),
        AUTHORITY[:-30],
    ],
    ids=["two", "a line more", "a text before", "other line ends", "cut"],
)
def test_the_authority_is_one_certificate_and_nothing_else(authority: bytes) -> None:
    with pytest.raises(MessageError, match="authority"):
        decode_trust(encode_trust(msgspec.structs.replace(FIRST, authority=authority)))


def test_too_long_to_be_read() -> None:
    with pytest.raises(MessageError, match="are over"):
        decode_trust(encode_trust(FIRST) + b" " * MAX_TRUST_LENGTH)


@given(st.binary(max_size=200) | st.integers(0, 3000).map(lambda depth: b"[" * depth))
def test_any_bytes_are_a_trust_or_an_error(encoded: bytes) -> None:
    with pytest.raises(MessageError):
        decode_trust(encoded)


@pytest.mark.slow
@given(st.data())
def test_a_mutated_trust_is_refused_or_is_not_followed(data: st.DataObject) -> None:
    """Bytes that say the same in other words may be read; what says anything else leads nobody away."""
    encoded = bytearray(encode_trust(LAST))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                encoded[place] ^= data.draw(st.integers(1, 255))
            case "cut":
                del encoded[place : place + data.draw(st.integers(1, 40))]
            case "insert":
                encoded[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        if not encoded:
            return
    try:
        trust = decode_trust(bytes(encoded))
    except MessageError:
        return
    assert not follows(trust, FIRST) or msgspec.structs.replace(trust, superseded=()) == msgspec.structs.replace(
        LAST, superseded=()
    )

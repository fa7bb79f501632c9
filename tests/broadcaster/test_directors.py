from itertools import pairwise

import msgspec
import pytest

from broadcaster.directors import was_director
from protocol.signing import SigningKey
from protocol.trust import Trust, succeed
from tests.sample_messages import IMAGE_KEY

DIRECTORS = [SigningKey(bytes([number]) * 32) for number in range(1, 5)]
STRANGER = SigningKey(b"x" * 32)


@pytest.fixture(scope="module")
def trusts() -> list[Trust]:
    """The first trust, and one more for each change of its director."""
    made = [Trust(director_key=DIRECTORS[0].public, image_keys=(IMAGE_KEY.public,), authority=b"PEM")]
    for before, after in pairwise(DIRECTORS):
        made.append(succeed(made[-1], before, director_key=after.public))
    return made


def test_the_director_in_force_counts(trusts: list[Trust]) -> None:
    assert was_director(trusts[0], DIRECTORS[0].public)
    assert not was_director(trusts[0], DIRECTORS[1].public)
    assert not was_director(trusts[0], STRANGER.public)


def test_directors_before_count(trusts: list[Trust]) -> None:
    for number, trust in enumerate(trusts):
        assert [was_director(trust, each.public) for each in DIRECTORS] == [each <= number for each in range(4)]
        assert not was_director(trust, STRANGER.public)


def test_rotations_that_lead_nowhere_do_not_count(trusts: list[Trust]) -> None:
    broken = msgspec.structs.replace(trusts[3], superseded=trusts[3].superseded[:1])
    assert not was_director(broken, DIRECTORS[0].public)
    assert not was_director(broken, DIRECTORS[1].public)
    assert was_director(broken, DIRECTORS[3].public)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\xff" * 32])
def test_what_is_no_key_does_not_count(trusts: list[Trust], key: bytes) -> None:
    assert not was_director(trusts[3], key)

import pytest

from protocol import words
from protocol.errors import SessionStateError
from protocol.words import BITS_PER_WORD, FINGERPRINT_WORDS, fingerprint_words, words_of


@pytest.mark.parametrize(
    ("digest", "sentence"),
    [
        (bytes(16), "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon"),
        (b"\x7f" * 16, "legal winner thank year wave sausage worth useful legal winner thank"),
        (b"\x80" * 16, "letter advice cage absurd amount doctor acoustic avoid letter advice cage"),
        (b"\xff" * 16, "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo"),
    ],
)
def test_the_words_of_the_vectors_of_bip_39(digest: bytes, sentence: str) -> None:
    expected = tuple(sentence.split())
    assert words_of(digest, 11) == expected
    for count in range(1, 12):
        assert words_of(digest, count) == expected[:count]


def test_every_bit_counts() -> None:
    digest = bytes(9)
    for bit in range(6 * BITS_PER_WORD):
        changed = (1 << 71 - bit).to_bytes(9)
        differing = [one != other for one, other in zip(words_of(digest, 6), words_of(changed, 6), strict=True)]
        assert differing == [place == bit // BITS_PER_WORD for place in range(6)]


@pytest.mark.parametrize(("length", "count"), [(0, 1), (1, 1), (2, 2), (16, 12), (16, 0), (16, -1)])
def test_more_words_than_bits_is_a_bug(length: int, count: int) -> None:
    with pytest.raises(SessionStateError, match="11 bits"):
        words_of(bytes(length), count)


def test_the_list_tells_words_apart_by_four_letters() -> None:
    listed = words._words()
    assert len(listed) == len({word[:4] for word in listed}) == 1 << BITS_PER_WORD
    assert all(word.isascii() and word.islower() for word in listed)


def test_the_list_is_read_once() -> None:
    assert words._words() is words._words()


def test_the_words_of_a_key_never_change() -> None:
    assert " ".join(fingerprint_words(bytes(range(32)))) == "fold tail twenty raise often friend"
    assert len(fingerprint_words(bytes(32))) == FINGERPRINT_WORDS
    assert fingerprint_words(bytes(32), 4) == fingerprint_words(bytes(32))[:4]
    assert fingerprint_words(bytes(32)) != fingerprint_words(b"\1" + bytes(31))

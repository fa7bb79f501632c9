"""Digests in words that two people can read to each other: 11 bits a word, from the 2,048 English words of BIP 39.

The list was made for this: no word of it is mistaken for another, and its first four letters tell each apart. It is
fixed for ever (BIP 39, "wordlist"), so the same digest has the same words in every version on both screens. Nothing
here is secret or random; no word is ever read back into bits.
"""

from functools import cache
from typing import Final

from mnemonic import Mnemonic

from protocol import signing
from protocol.errors import SessionStateError

BITS_PER_WORD: Final = 11
"""[bits] 2,048 words"""

FINGERPRINT_WORDS: Final = 6
"""[words] 66 bits: finding a second key with the words of a given one takes 2^66 key pairs."""


def words_of(digest: bytes, count: int) -> tuple[str, ...]:
    """The first ``count`` words of ``digest``, from its most significant bits on.

    Raises:
        SessionStateError: the digest has fewer than 11 bits a word.
    """
    spare = 8 * len(digest) - BITS_PER_WORD * count
    if count < 1 or spare < 0:
        raise SessionStateError(f"{count} words of {len(digest)} bytes: a word takes {BITS_PER_WORD} bits")
    bits = int.from_bytes(digest) >> spare
    return tuple(_words()[bits >> BITS_PER_WORD * place & 0x7FF] for place in reversed(range(count)))


def fingerprint_words(public_key: bytes, count: int = FINGERPRINT_WORDS) -> tuple[str, ...]:
    """The name of a public key in words, at most 11."""
    return words_of(signing.fingerprint(public_key), count)


@cache
def _words() -> tuple[str, ...]:
    return tuple(Mnemonic("english").wordlist)

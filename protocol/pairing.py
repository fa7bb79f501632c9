"""Pairing: a short token or four words prove to two machines that nobody sits between them.

    token    SPAKE2 (RFC 9382 describes the method; the library's own Ed25519 encoding) makes a key of it that both
             sides then prove over the transcript; a listener learns nothing to try tokens against, and whoever takes
             part tries one token for each exchange
    words    a hash of transcript and the receiver's random number, which the receiver committed to before it saw the
             broadcaster's: who sits in between would have to hit 44 bits by chance

Pure: random bytes are handed in. The arithmetic is Python's and takes some milliseconds for each call of ``message``
and ``key``; its time depends a little on the token, so answers must not be timed by it (see broadcaster.front_door).
"""

import hashlib
import hmac
import unicodedata
from typing import Final

from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError
from spake2.ed25519_basic import NotOnCurve

from protocol.errors import ConfigError, MessageError, SessionStateError
from protocol.words import words_of

RANDOM_LENGTH: Final = 32
"""[bytes] that each side adds to an exchange"""

PAIRING_SEED_LENGTH: Final = 64
"""[bytes] that one side of SPAKE2 draws: twice the order's length, so that the scalar has no bias worth naming"""

PAIRING_MESSAGE_LENGTH: Final = 33
"""[bytes] the side, and a point of Ed25519"""

PROOF_LENGTH: Final = 32
"""[bytes] HMAC-SHA-256"""

WORD_COUNT: Final = 4
"""of 2,048: 44 bits"""

WORDS_SEED_LENGTH: Final = 6
"""[bytes] that hold WORD_COUNT words of 11 bits"""

MIN_TOKEN_LENGTH: Final = 4
"""[characters] Shorter ones are found by guessing, however slowly guesses are taken."""

MAX_TOKEN_LENGTH: Final = 128
"""[characters] so that no token makes work"""

_RECEIVER: Final = b"slatecast receiver v1"
_BROADCASTER: Final = b"slatecast broadcaster v1"
_FOLDINGS: Final = 3
"""What is left out or folded may bring letters together that are folded again; once more changes nothing."""

_HYPHENS: Final = frozenset({"Pd"})
"""Unicode's category of all that looks like one"""


def normalized_token(text: str) -> str:
    """What counts of a token: case, spaces and hyphens do not.

    Raises:
        ConfigError: too short or too long.
    """
    token = text
    for _ in range(_FOLDINGS):
        token = _folded(token)
    if not MIN_TOKEN_LENGTH <= len(token) <= MAX_TOKEN_LENGTH:
        raise ConfigError(
            f"a token has {MIN_TOKEN_LENGTH} to {MAX_TOKEN_LENGTH} characters, spaces and hyphens not counted; "
            "leave the token out to have one made"
        )
    return token


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(letter for letter in folded if not letter.isspace() and unicodedata.category(letter) not in _HYPHENS)


def new_token(random_bytes: bytes) -> str:
    """Four words for people to type, from ``WORDS_SEED_LENGTH`` random bytes."""
    if len(random_bytes) != WORDS_SEED_LENGTH:
        raise SessionStateError(f"a token of {len(random_bytes)} random bytes instead of {WORDS_SEED_LENGTH}")
    return "-".join(words_of(random_bytes, WORD_COUNT))


def commitment_to(receiver_random: bytes) -> bytes:
    """What a receiver says of its random number before it hears the broadcaster's."""
    return hashlib.sha256(b"slatecast commitment v1\0" + receiver_random).digest()


def comparison_words(transcript: bytes, receiver_random: bytes) -> str:
    """The four words that stand on both screens when, and only when, both sides took part in the same exchange."""
    digest = hashlib.sha256(b"slatecast words v1\0" + transcript + receiver_random).digest()
    return " ".join(words_of(digest[:WORDS_SEED_LENGTH], WORD_COUNT))


class PairingKey:
    """What two sides that used the same token share; proves that over a transcript."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def receiver_proof(self, transcript: bytes) -> bytes:
        """What the receiver says first."""
        return hmac.digest(self._key, _RECEIVER + b"\0" + transcript, "sha256")

    def broadcaster_proof(self, transcript: bytes) -> bytes:
        """What the broadcaster answers only to a receiver that has proved the token."""
        return hmac.digest(self._key, _BROADCASTER + b"\0" + transcript, "sha256")

    def __repr__(self) -> str:
        """Nothing secret."""
        return "PairingKey()"


class _Side:
    """One side of one exchange; never to be used for a second one."""

    _LIBRARY: type[SPAKE2_A | SPAKE2_B]

    def __init__(self, token: str, seed: bytes) -> None:
        """Take a token as ``normalized_token`` gives it, and PAIRING_SEED_LENGTH random bytes."""
        if len(seed) != PAIRING_SEED_LENGTH:
            raise SessionStateError(f"a pairing seed of {len(seed)} bytes instead of {PAIRING_SEED_LENGTH}")
        self._side = self._LIBRARY(token.encode(), idA=_RECEIVER, idB=_BROADCASTER, entropy_f=lambda _length: seed)
        self.message: Final[bytes] = self._side.start()
        """for the other side; tells nothing of the token"""
        self._key: PairingKey | None = None

    def key(self, peer_message: bytes) -> PairingKey:
        """The key shared with whoever sent ``peer_message``, if that is of the same token.

        Raises:
            MessageError: not a message of the other side.
            SessionStateError: asked for with two messages.
        """
        if len(peer_message) != PAIRING_MESSAGE_LENGTH:
            raise MessageError(f"pairing message of {len(peer_message)} bytes instead of {PAIRING_MESSAGE_LENGTH}")
        if self._key is not None:
            raise SessionStateError("one side of a pairing was used for two exchanges")
        try:
            self._key = PairingKey(self._side.finish(peer_message))
        except (SPAKEError, NotOnCurve, ValueError, AssertionError):
            raise MessageError("pairing message that is none of the other side") from None
        return self._key

    def __repr__(self) -> str:
        """Nothing secret."""
        return f"{type(self).__name__}()"


class ReceiverPairing(_Side):
    """The receiver's side."""

    _LIBRARY = SPAKE2_A


class BroadcasterPairing(_Side):
    """The broadcaster's side."""

    _LIBRARY = SPAKE2_B


def is_same(proof: bytes, expected: bytes) -> bool:
    """Whether two proofs are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(proof, expected)

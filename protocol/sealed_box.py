"""Seals a few bytes to the holder of one X25519 key: HPKE (RFC 9180) in base mode, one message per box.

Used for session secrets in tickets. Whoever can read the ticket learns nothing; who made the box is proved by the
ticket's signature, not by the box. ``context`` is bound in, so a box moved into another ticket does not open.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from protocol.errors import SealError, SessionStateError

KEY_LENGTH: Final = 32
"""[bytes] of a private and of a public key (RFC 7748 section 5)"""

OVERHEAD: Final = 48
"""[bytes] that a box is longer than what it holds: an encapsulated key of 32 and a tag of 16 (RFC 9180 section 7)"""

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class OpeningKey:
    """The private half: opens what was sealed to ``public``."""

    def __init__(self, private: bytes) -> None:
        """``private`` is 32 random bytes."""
        if len(private) != KEY_LENGTH:
            raise SessionStateError(f"an opening key of {len(private)} bytes instead of {KEY_LENGTH}")
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public: Final = self._private.public_key().public_bytes_raw()
        """32 bytes"""

    def open(self, box: bytes, context: bytes) -> bytes:
        """What was sealed to us for this context.

        Raises:
            SealError: sealed to somebody else, for something else, or not a box.
        """
        try:
            return _SUITE.decrypt(box, self._private, context)
        except (InvalidTag, ValueError):
            raise SealError("a sealed box that was not made for us") from None

    def __repr__(self) -> str:
        """Nothing secret."""
        return f"OpeningKey({self.public.hex()[:8]})"


def seal_to(public: bytes, secret: bytes, context: bytes) -> bytes:
    """A box of ``len(secret) + OVERHEAD`` bytes that only the holder of ``public`` can open.

    Raises:
        SealError: ``public`` is no X25519 key that a secret can be agreed with.
    """
    try:
        return _SUITE.encrypt(secret, X25519PublicKey.from_public_bytes(public), context)
    except ValueError:
        raise SealError("a sealing key that cannot be used") from None

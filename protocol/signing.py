"""Ed25519 signatures (RFC 8032), each for one purpose only, and the names of the keys that make them.

A signature covers the purpose beside the message, so that one made for a report can never pass for one under a wipe
ticket, whatever bytes a peer gets somebody to sign. Keys are made by the caller from 32 random bytes.
"""

import hashlib
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.errors import SessionStateError, SignatureError

KEY_LENGTH: Final = 32
"""[bytes] of a private seed and of a public key (RFC 8032 section 5.1.5)"""

SIGNATURE_LENGTH: Final = 64
"""[bytes] RFC 8032 section 5.1.6"""

FINGERPRINT_LENGTH: Final = 16
"""[bytes] 128 bits: finding a second key with the fingerprint of a given one takes 2^128 tries."""


_EVERYBODYS_KEYS: Final = frozenset(
    bytes.fromhex(key)
    for key in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""Points of order 1, 2, 4 and 8, without their sign bit: RFC 8032 section 5.1.7 lets anybody sign for them."""


class Purpose(StrEnum):
    """What a signature is for; the value is part of what is signed."""

    IMAGE = "slatecast image v1"
    TICKET = "slatecast ticket v1"
    ADMISSION = "slatecast admission v1"
    CONTROL = "slatecast control v1"
    PAIRING = "slatecast pairing v1"
    CERTIFICATE = "slatecast certificate v1"
    AUDIT = "slatecast audit v1"
    REPORT = "slatecast report v1"
    ROTATION = "slatecast rotation v1"


class SigningKey:
    """A private key; it signs, tells its public half, and shows itself to nobody."""

    def __init__(self, seed: bytes) -> None:
        """``seed`` is 32 random bytes; the same seed is the same key."""
        if len(seed) != KEY_LENGTH:
            raise SessionStateError(f"a signing key of {len(seed)} bytes instead of {KEY_LENGTH}")
        self.private_key: Final = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: Final = self.private_key.public_key().public_bytes_raw()
        """32 bytes"""

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """64 bytes that only this key can make for this purpose and message."""
        return self.private_key.sign(_signed_bytes(purpose, message))

    def __repr__(self) -> str:
        """Nothing secret: keys end up in logs through their representation."""
        return f"SigningKey({fingerprint(self.public).hex()})"


def verify(public: bytes, purpose: Purpose, message: bytes, signature: bytes) -> None:
    """Make sure that the holder of ``public`` signed ``message`` for ``purpose``.

    Raises:
        SignatureError: it did not, or key or signature are no such thing.
    """
    if public[:-1] + bytes(last & 0x7F for last in public[-1:]) in _EVERYBODYS_KEYS:
        raise SignatureError(f"the {purpose.name.lower()} signature is by a key that anybody can sign with")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _signed_bytes(purpose, message))
    except (InvalidSignature, ValueError):
        raise SignatureError(f"the {purpose.name.lower()} signature does not match") from None


def fingerprint(public: bytes) -> bytes:
    """16 bytes that stand for a public key where people or topics name it."""
    return hashlib.sha256(b"slatecast key v1\0" + public).digest()[:FINGERPRINT_LENGTH]


def _signed_bytes(purpose: Purpose, message: bytes) -> bytes:
    return purpose.value.encode() + b"\0" + message

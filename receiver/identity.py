"""Who this receiver is until it is switched off: keys drawn at its start that never reach a disk.

A key on the disk would be cloned with it, by this very product; so each start is a new receiver that enrols anew, and
an order to an earlier start is void by its boot nonce.
"""

import secrets
from typing import Final, Self

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from protocol import sealed_box, signing
from protocol.sealed_box import OpeningKey
from protocol.signing import SigningKey
from protocol.ticket import ReceiverKeys

BOOT_NONCE_LENGTH: Final = 16
"""[bytes] 128 bits never repeat by chance."""


class ReceiverIdentity:
    """The private keys of one start, and their public side."""

    def __init__(self, signing_key: SigningKey, opening_key: OpeningKey, boot_nonce: bytes) -> None:
        self.signing_key: Final = signing_key
        """signs all that this receiver says"""
        self.opening_key: Final = opening_key
        """opens the session secrets that are sealed to it"""
        self.keys: Final = ReceiverKeys(
            identity_key=signing_key.public, sealing_key=opening_key.public, boot_nonce=boot_nonce
        )

    @classmethod
    def draw(cls) -> Self:
        """A receiver that never was before."""
        return cls(
            SigningKey(secrets.token_bytes(signing.KEY_LENGTH)),
            OpeningKey(secrets.token_bytes(sealed_box.KEY_LENGTH)),
            secrets.token_bytes(BOOT_NONCE_LENGTH),
        )

    @property
    def receiver_id(self) -> str:
        """32 hex digits, as in topics and on the operator's screen."""
        return self.keys.receiver_id

    @property
    def tls_private_key(self) -> bytes:
        """The identity key in PEM (PKCS 8), for TLS only; never to be written to a disk."""
        return self.signing_key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        """Nothing secret."""
        return f"ReceiverIdentity({self.receiver_id})"

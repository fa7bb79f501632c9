"""The certificate of a seat: a receiver's own word that its disk was read back and is the image.

    certificate bytes   canonical JSON of Certificate
    signature           64 bytes by the receiver's identity key, for Purpose.CERTIFICATE

It names the keys of the receiver, so that whoever holds the director's admission of them can check it long after the
receiver is gone. It proves who said so, not that a hostile receiver speaks the truth of its own disk.
"""

import hashlib
from typing import Final

import msgspec

from protocol import signing
from protocol.errors import MessageError, SignatureError
from protocol.fields import Count, Digest, Key, Nonce, ShortText, Tsi, printable
from protocol.messages import SignedCertificate
from protocol.signing import Purpose, SigningKey
from protocol.ticket import ReceiverKeys

_TEXT_LENGTH: Final = 64
"""[characters] of a ``ShortText``"""


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a receiver signs when its disk is verified."""

    tsi: Tsi
    identity_key: Key
    """Ed25519 key of the receiver, the one that signs"""
    sealing_key: Key
    boot_nonce: Nonce
    seat: ShortText
    image: ShortText
    version: Count
    manifest_digest: Digest
    disk_size: Count
    """bytes of the image's disk"""
    target: ShortText
    """path of the disk at the receiver, its last 64 characters"""
    serial: ShortText
    """serial number of the disk; empty where there is none"""
    verified_bytes: Count
    """raw bytes of the disk that were read back and found to be the image's, zeros included"""
    blocks: Count
    """blocks of the image"""

    def __post_init__(self) -> None:
        """Texts end on an operator's terminal: whoever signs one makes it fit with ``plain_text``."""
        for text in (self.seat, self.image, self.target, self.serial):
            if not text.isprintable():
                raise ValueError("a text that cannot be printed")

    @property
    def keys(self) -> ReceiverKeys:
        """Whose certificate it says it is."""
        return ReceiverKeys(identity_key=self.identity_key, sealing_key=self.sealing_key, boot_nonce=self.boot_nonce)


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(Certificate)


def plain_text(text: str) -> str:
    """The end of a text of any origin as a certificate can carry it: encodable, printable, 64 characters at most."""
    encodable = text.encode(errors="backslashreplace").decode()[-_TEXT_LENGTH:]
    return printable(encodable)


def sign_certificate(certificate: Certificate, key: SigningKey) -> SignedCertificate:
    """The message that carries it; ``key`` is the private half of ``certificate.identity_key``."""
    body = _ENCODER.encode(certificate)
    return SignedCertificate(
        tsi=certificate.tsi,
        receiver_id=certificate.keys.receiver_id,
        certificate=body,
        signature=key.sign(Purpose.CERTIFICATE, body),
    )


def check_certificate(signed: SignedCertificate, *, keys: ReceiverKeys) -> Certificate:
    """The certificate in a message of any origin, once it is proved that the receiver with these ``keys`` made it.

    Raises:
        SignatureError: it did not, or it made it under other keys or for another boot.
        MessageError: no certificate, or one that contradicts its message.
    """
    signing.verify(keys.identity_key, Purpose.CERTIFICATE, signed.certificate, signed.signature)
    certificate = read_certificate(signed.certificate)
    if certificate.keys != keys:
        raise SignatureError("the certificate names other keys than its receiver's")
    if (certificate.tsi, keys.receiver_id) != (signed.tsi, signed.receiver_id):
        raise MessageError("the certificate is of another session or receiver than its message")
    return certificate


def read_certificate(body: bytes) -> Certificate:
    """What such bytes say, whoever wrote them; nothing is proved yet.

    Raises:
        MessageError: they are no certificate.
    """
    try:
        certificate = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"the certificate is malformed: {error}") from None
    if _ENCODER.encode(certificate) != body:
        raise MessageError("the certificate is malformed: not in its one canonical form")
    return certificate


def certificate_digest(body: bytes) -> str:
    """What a record says of a certificate that it does not hold: the SHA-256 in hex digits."""
    return hashlib.sha256(body).hexdigest()

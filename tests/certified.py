"""Receivers that were admitted and are done, for tests of what they prove."""

from typing import Any, NamedTuple

import msgspec

from protocol.certificate import Certificate, sign_certificate
from protocol.messages import Announcement, SignedCertificate
from protocol.sealed_box import OpeningKey
from protocol.signing import SigningKey
from protocol.ticket import ReceiverKeys
from tests.sample_messages import announcement


class Signer(NamedTuple):
    """A receiver's identity."""

    key: SigningKey
    keys: ReceiverKeys

    @property
    def receiver_id(self) -> str:
        return self.keys.receiver_id


def signer(number: int = 1) -> Signer:
    key = SigningKey(bytes([number % 256]) * 32)
    sealing_key = OpeningKey(bytes([number % 256, 1]) * 16).public
    return Signer(key, ReceiverKeys(identity_key=key.public, sealing_key=sealing_key, boot_nonce=bytes([number]) * 16))


def certificate(number: int = 1, of: Announcement | None = None, **changes: Any) -> Certificate:
    """Of the sample announcement's image, at seat-N."""
    session, keys = of or announcement(), signer(number).keys
    plain = Certificate(
        tsi=session.tsi,
        identity_key=keys.identity_key,
        sealing_key=keys.sealing_key,
        boot_nonce=keys.boot_nonce,
        seat=f"seat-{number}",
        image=session.image.name,
        version=session.image.version,
        manifest_digest=session.manifest_digest,
        disk_size=session.image.disk_size,
        target="/dev/sda",
        serial="S3Z8NB0K",
        verified_bytes=8 << 20,
        blocks=32,
    )
    return msgspec.structs.replace(plain, **changes)


def signed_certificate(number: int = 1, of: Announcement | None = None, **changes: Any) -> SignedCertificate:
    return sign_certificate(certificate(number, of, **changes), signer(number).key)

"""What a receiver certifies when its disk is committed: its word, under the keys drawn at its start. Pure."""

from protocol.certificate import Certificate, plain_text, sign_certificate
from protocol.messages import Announcement, SignedCertificate
from protocol.signing import SigningKey
from protocol.ticket import ReceiverKeys


def certify(
    announcement: Announcement,
    keys: ReceiverKeys,
    signing_key: SigningKey,
    *,
    seat: str,
    target: str,
    serial: str,
    verified_bytes: int,
    blocks: int,
) -> SignedCertificate:
    """The message that says so; to be made only after the disk was read back and committed.

    Args:
        announcement: of the session; its image is what is on the disk.
        keys: of this receiver.
        signing_key: the private half of its identity key.
        seat: as in the receiver's reports.
        target: path of the disk, any text.
        serial: of the disk, any text; empty where there is none.
        verified_bytes: raw bytes that were read back and found right.
        blocks: of the image.
    """
    certificate = Certificate(
        tsi=announcement.tsi,
        identity_key=keys.identity_key,
        sealing_key=keys.sealing_key,
        boot_nonce=keys.boot_nonce,
        seat=plain_text(seat),
        image=announcement.image.name,
        version=announcement.image.version,
        manifest_digest=announcement.manifest_digest,
        disk_size=announcement.image.disk_size,
        target=plain_text(target),
        serial=plain_text(serial),
        verified_bytes=verified_bytes,
        blocks=blocks,
    )
    return sign_certificate(certificate, signing_key)

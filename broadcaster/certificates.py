"""Collects the certificates of one session: at most one of each receiver, and only what proves itself. Sans-I/O.

The keys that must have signed come from the director's admission. Those of a session that was taken up again come from
its record, where only checked certificates stand; a receiver that was done need not be heard again.
"""

from collections.abc import Callable, Iterable
from typing import Final

from protocol.certificate import Certificate, check_certificate, read_certificate
from protocol.errors import MessageError, SignatureError
from protocol.fields import MAX_SEATS
from protocol.messages import Announcement, SignedCertificate
from protocol.ticket import ReceiverKeys


class Certificates:
    """The checked certificates by receiver id."""

    def __init__(self, announcement: Announcement, keys_of: Callable[[str], ReceiverKeys | None]) -> None:
        """``keys_of`` gives the keys of an admitted receiver, such as ``Admissions.keys_of``."""
        self._announcement: Final = announcement
        self._keys_of = keys_of
        self._signed: dict[str, SignedCertificate] = {}
        self._keys: dict[str, ReceiverKeys] = {}

    def receive(self, signed: SignedCertificate) -> None:
        """Take a certificate of any origin; the first good one of a receiver stays.

        Raises:
            SignatureError: not signed by a receiver that was admitted.
            MessageError: malformed, or of another image than the session's.
        """
        if signed.tsi != self._announcement.tsi or signed.receiver_id in self._signed:
            return
        keys = self._keys_of(signed.receiver_id)
        if keys is None:
            raise SignatureError("a certificate of somebody who was not admitted")
        self._check_image(check_certificate(signed, keys=keys))
        if len(self._signed) < MAX_SEATS:
            self._signed[signed.receiver_id] = signed
            self._keys[signed.receiver_id] = keys

    def restore(self, kept: Iterable[SignedCertificate]) -> None:
        """Take over what an earlier run of this session had checked and recorded."""
        for signed in kept:
            self._keys[signed.receiver_id] = read_certificate(signed.certificate).keys
            self._signed[signed.receiver_id] = signed

    def get(self, receiver_id: str) -> SignedCertificate | None:
        """The certificate of a receiver."""
        return self._signed.get(receiver_id)

    def keys_of(self, receiver_id: str) -> ReceiverKeys | None:
        """The keys of a receiver that was admitted, also in an earlier run."""
        return self._keys.get(receiver_id) or self._keys_of(receiver_id)

    def all(self) -> tuple[SignedCertificate, ...]:
        """For the record of the cast."""
        return tuple(self._signed.values())

    def _check_image(self, certificate: Certificate) -> None:
        image = self._announcement.image
        told = (certificate.image, certificate.version, certificate.disk_size, certificate.manifest_digest)
        if told != (image.name, image.version, image.disk_size, self._announcement.manifest_digest):
            raise MessageError("a certificate for another image than the session's")

"""The wipe ticket: the director's order to one receiver, for one boot, to overwrite its disk with one image.

    ticket bytes    canonical JSON of Ticket
    signature       64 bytes by the director key, for Purpose.TICKET

A receiver acts on nothing else. The ticket names its identity key and this boot's nonce, so it is of no use to another
machine, nor to the same one after a restart; no clock is needed. Without ``may_write`` it is the order to look at the
disk and to touch nothing: the session is only planned, and a second ticket follows when it is started. It binds the
announcement by its digest, and with it the image, the group and the coding; the session secret is sealed to the
receiver alone. ``check_ticket`` is pure, and the only place where a ticket is judged.
"""

import hashlib
from collections.abc import Collection
from typing import Annotated, Final

import msgspec

from protocol import sealed_box, signing
from protocol.errors import SealError, SignatureError, TicketError
from protocol.fields import Count, Digest, Key, Nonce, Tsi, printable
from protocol.messages import Announcement, SignedTicket, encode_message
from protocol.sealed_box import OpeningKey
from protocol.signing import Purpose, SigningKey

SECRET_LENGTH: Final = 32
"""[bytes] of a session secret"""

SealedSecret = Annotated[
    bytes,
    msgspec.Meta(
        min_length=SECRET_LENGTH + sealed_box.OVERHEAD,
        max_length=SECRET_LENGTH + sealed_box.OVERHEAD,
    ),
]


class DiskPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the director demands of the disk, on top of what every receiver checks by itself."""

    min_size: Count
    """bytes"""
    logical_sector_size: Count
    """bytes; 0 when the image does not care"""


class Ticket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the director signs."""

    tsi: Tsi
    receiver_key: Key
    """Ed25519 identity key of the one receiver that may act"""
    boot_nonce: Nonce
    announcement_digest: Digest
    """SHA-256 of the announcement's payload"""
    manifest_digest: Digest
    disk: DiskPolicy
    may_write: bool
    """False while the session is only planned: take part, but touch nothing of the disk"""
    sealed_secret: SealedSecret
    """the session secret, sealed to the receiver's sealing key"""


class ReceiverKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public half of what a receiver draws when it starts, never written to a disk."""

    identity_key: Key
    """Ed25519: signs everything that the receiver says"""
    sealing_key: Key
    """X25519: secrets are sealed to it"""
    boot_nonce: Nonce

    @property
    def receiver_id(self) -> str:
        """32 hex digits, the fingerprint of the identity key: nobody else can prove this id."""
        return signing.fingerprint(self.identity_key).hex()


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket that was found good, and the secret that it held."""

    ticket: Ticket
    session_secret: bytes


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(Ticket)


def announcement_digest(announcement: Announcement) -> bytes:
    """What a ticket says of the announcement that it belongs to."""
    return hashlib.sha256(encode_message(announcement)).digest()


def sign_ticket(
    announcement: Announcement,
    receiver: ReceiverKeys,
    session_secret: bytes,
    director: SigningKey,
    *,
    may_write: bool,
) -> SignedTicket:
    """The order to ``receiver`` to take part in the announced session, and to overwrite its disk if it ``may_write``.

    Raises:
        SealError: the receiver's sealing key cannot be used.
    """
    context = _box_context(announcement.tsi, receiver)
    ticket = Ticket(
        tsi=announcement.tsi,
        receiver_key=receiver.identity_key,
        boot_nonce=receiver.boot_nonce,
        announcement_digest=announcement_digest(announcement),
        manifest_digest=announcement.manifest_digest,
        disk=DiskPolicy(
            min_size=announcement.image.disk_size, logical_sector_size=announcement.image.logical_sector_size
        ),
        may_write=may_write,
        sealed_secret=sealed_box.seal_to(receiver.sealing_key, session_secret, context),
    )
    body = _ENCODER.encode(ticket)
    return SignedTicket(
        tsi=announcement.tsi,
        receiver_id=receiver.receiver_id,
        ticket=body,
        signature=director.sign(Purpose.TICKET, body),
    )


def check_ticket(
    signed: SignedTicket,
    announcement: Announcement,
    *,
    receiver: ReceiverKeys,
    opening_key: OpeningKey,
    director_key: bytes,
    image_keys: Collection[bytes],
) -> Order:
    """Judge a ticket of any origin; what it returns may be acted on, nothing else may.

    Args:
        signed: what arrived.
        announcement: of the session that it is said to belong to.
        receiver: our own keys and this boot's nonce.
        opening_key: the private half of ``receiver.sealing_key``.
        director_key: the Ed25519 key that may order wipes here.
        image_keys: the Ed25519 keys whose images may be written here.

    Raises:
        TicketError: it must not be acted on; the text says why and what to do.
    """
    try:
        signing.verify(director_key, Purpose.TICKET, signed.ticket, signed.signature)
    except SignatureError:
        raise TicketError(
            "the order to write is not signed by this room's director; if the director key was changed, "
            "start this receiver again to enrol it anew"
        ) from None
    ticket = _decode(signed.ticket)
    if ticket.receiver_key != receiver.identity_key:
        raise TicketError("the order to write is for another machine")
    if ticket.boot_nonce != receiver.boot_nonce:
        raise TicketError("the order to write is from before this machine's last start; start the cast again")
    if ticket.tsi != announcement.tsi or ticket.announcement_digest != announcement_digest(announcement):
        raise TicketError("the order to write is for another session than the announced one")
    if ticket.manifest_digest != announcement.manifest_digest:
        raise TicketError("the order to write is for another image than the announced one")
    check_image(announcement, image_keys)
    try:
        secret = opening_key.open(ticket.sealed_secret, _box_context(ticket.tsi, receiver))
    except SealError:
        raise TicketError("the order to write holds a secret that was not sealed to this machine") from None
    return Order(ticket=ticket, session_secret=secret)


def check_image(announcement: Announcement, image_keys: Collection[bytes]) -> None:
    """Make sure that the announced image was signed by one of ``image_keys``.

    Raises:
        TicketError: it was not.
    """
    name = announcement.image.name
    if announcement.image_key not in image_keys:
        raise TicketError(
            f"image {name} is signed by a key that this room does not know; sign it with 'slatecast image sign'"
        )
    try:
        signing.verify(
            announcement.image_key, Purpose.IMAGE, announcement.manifest_digest, announcement.image_signature
        )
    except SignatureError:
        raise TicketError(f"the signature of image {name} does not match its manifest; add the image again") from None


def _decode(body: bytes) -> Ticket:
    try:
        ticket = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = printable(str(error))
        raise TicketError(f"the order to write is malformed: {reason}") from None
    if _ENCODER.encode(ticket) != body:  # what other readers of JSON make of it could be another order
        raise TicketError("the order to write is malformed: not in its one canonical form")
    return ticket


def _box_context(tsi: str, receiver: ReceiverKeys) -> bytes:
    return b"slatecast session secret v1\0" + tsi.encode() + receiver.identity_key + receiver.boot_nonce

"""The public side of a broadcaster's keys: all that a receiver must know to obey it, and how one set follows another.

    trust           JSON of Trust; no secret in it, it may lie on boot media and in unauthenticated replies
    rotation        for each change of keys, what the director key *before* it signs (Purpose.ROTATION): the number of
                    the change, the director key from then on, and the SHA-256 of the new trust without its rotations

A receiver that was started with an older trust follows the rotations from the director that it knows to the trust that
it is offered. Whoever holds a director key that was replaced cannot lead it away: the first step that counts is signed
by the newest director that the receiver knows, and a trust never follows a newer one, so a revoked key stays revoked.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocol import signing
from protocol.errors import MessageError, SessionStateError, SignatureError
from protocol.fields import Count, Digest, Key, Signature
from protocol.signing import Purpose, SigningKey

MAX_IMAGE_KEYS: Final = 16
"""[keys] of which images are accepted at a time: a site with a key for each author of images, and their successors."""

MAX_AUTHORITY_LENGTH: Final = 8192
"""[bytes] of a certificate in PEM; ours has under 900."""

MAX_ROTATIONS: Final = 32
"""[changes] that a trust remembers; a receiver whose trust is older is enrolled anew."""

MAX_TRUST_LENGTH: Final = 32 * 1024
"""[bytes] of JSON, which stops a peer from making us parse without end; the largest of ours has under 22 KiB."""


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change of keys, as the director before it signed it."""

    serial: Count
    """of the trust that came into force"""
    director_key: Key
    """of that trust"""
    digest: Digest
    """SHA-256 of that trust without its rotations"""
    signature: Signature
    """of the director before, over the three fields above"""


class Trust(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public keys of a broadcaster."""

    director_key: Key
    """Ed25519: orders wipes"""
    image_keys: Annotated[tuple[Key, ...], msgspec.Meta(min_length=1, max_length=MAX_IMAGE_KEYS)]
    """Ed25519: the images signed by one of these may be written"""
    authority: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_AUTHORITY_LENGTH)]
    """one X.509 certificate in PEM: who issues the certificates of broker, front door and receivers"""
    serial: Count = 1
    """counts the changes of keys"""
    superseded: Annotated[tuple[Rotation, ...], msgspec.Meta(max_length=MAX_ROTATIONS)] = ()
    """how this trust came from earlier ones, oldest change first"""


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(Trust)


def encode_trust(trust: Trust) -> bytes:
    """The JSON of a trust, the same bytes for the same trust."""
    return _ENCODER.encode(trust)


def decode_trust(encoded: bytes) -> Trust:
    """Read a trust of any origin; it says who signs, not that anybody should be believed.

    Raises:
        MessageError: no trust, or one out of bounds.
    """
    if len(encoded) > MAX_TRUST_LENGTH:
        raise MessageError(f"trust: {len(encoded)} bytes are over {MAX_TRUST_LENGTH}")
    try:
        trust = _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"trust: {error}") from None
    if len(set(trust.image_keys)) != len(trust.image_keys):
        raise MessageError("trust: names an image key twice")
    _check_certificate(trust.authority)
    return trust


def succeed(
    trust: Trust,
    director: SigningKey,
    *,
    director_key: bytes | None = None,
    image_keys: Sequence[bytes] | None = None,
) -> Trust:
    """The trust with other keys that takes the place of ``trust``.

    Args:
        trust: what is in force.
        director: the private half of its director key, which signs the change.
        director_key: Ed25519 key of the director from now on; None keeps the one that is.
        image_keys: 1 to MAX_IMAGE_KEYS distinct keys; None keeps those that are.

    Raises:
        SessionStateError: ``director`` is another key, or the image keys cannot be.
    """
    if director.public != trust.director_key:
        raise SessionStateError("a change of keys must be signed with the director key that is in force")
    keys = trust.image_keys if image_keys is None else tuple(image_keys)
    if not 1 <= len(set(keys)) == len(keys) <= MAX_IMAGE_KEYS:
        raise SessionStateError(f"a trust has 1 to {MAX_IMAGE_KEYS} distinct image keys")
    bare = Trust(
        director_key=trust.director_key if director_key is None else director_key,
        image_keys=keys,
        authority=trust.authority,
        serial=trust.serial + 1,
    )
    digest = _digest(bare)
    rotation = Rotation(
        serial=bare.serial,
        director_key=bare.director_key,
        digest=digest,
        signature=director.sign(Purpose.ROTATION, _signed(bare.serial, bare.director_key, digest)),
    )
    return msgspec.structs.replace(bare, superseded=(*trust.superseded, rotation)[-MAX_ROTATIONS:])


def follows(newer: Trust, older: Trust) -> bool:
    """Whether who trusts ``older`` may trust ``newer``: the same keys, or each director on the way signed for the next.

    Takes at most MAX_ROTATIONS verifications, each about 0.1 ms.
    """
    digest = _digest(newer)
    if digest == _digest(older):
        return True
    steps = [rotation for rotation in newer.superseded if rotation.serial > older.serial]
    if [step.serial for step in steps] != list(range(older.serial + 1, newer.serial + 1)) or not steps:
        return False
    director_key = older.director_key
    for step in steps:
        try:
            signing.verify(
                director_key,
                Purpose.ROTATION,
                _signed(step.serial, step.director_key, step.digest),
                step.signature,
            )
        except SignatureError:
            return False
        director_key = step.director_key
    return director_key == newer.director_key and steps[-1].digest == digest


def _digest(trust: Trust) -> bytes:
    return hashlib.sha256(encode_trust(msgspec.structs.replace(trust, superseded=()))).digest()


def _signed(serial: int, director_key: bytes, digest: bytes) -> bytes:
    """All of fixed length, so no two rotations share their bytes."""
    return serial.to_bytes(8) + director_key + digest


def _check_certificate(pem: bytes) -> None:
    """One certificate and nothing else, since what a TLS library makes of a second one is not what was checked here."""
    try:
        canonical = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.PEM)
    except (ValueError, x509.InvalidVersion):
        raise MessageError("trust: the authority is no certificate in PEM") from None
    if canonical != pem:
        raise MessageError("trust: the authority must be one certificate in PEM and nothing else")

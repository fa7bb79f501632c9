"""Who vouches for an image: an Ed25519 signature over the digest of its manifest, in a small file beside it.

    VERSION.signature     JSON of ImageSignature

The digest covers the header, the header the rows, the rows every chunk; so it is all of the image that is signed. What
is read here may come from anywhere: a library is only files.
"""

from typing import Final

import msgspec

from protocol import signing
from protocol.errors import LibraryError, SignatureError
from protocol.fields import Key, Signature
from protocol.signing import Purpose, SigningKey

MAX_SIGNATURE_FILE: Final = 1024
"""[bytes] ours have 157"""


class ImageSignature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That the holder of ``key`` vouches for an image."""

    key: Key
    """Ed25519"""
    signature: Signature
    """over the 32 bytes of the manifest's digest"""


_DECODER: Final = msgspec.json.Decoder(ImageSignature)


def sign_digest(manifest_digest: bytes, signer: SigningKey) -> ImageSignature:
    """Vouch for the image with this manifest."""
    return ImageSignature(key=signer.public, signature=signer.sign(Purpose.IMAGE, manifest_digest))


def encode_signature(signature: ImageSignature) -> bytes:
    """The bytes of the file."""
    return msgspec.json.encode(signature)


def decode_signature(encoded: bytes, manifest_digest: bytes) -> ImageSignature:
    """Read the file of a signature, and make sure that it is one of the image with this manifest.

    Raises:
        LibraryError: it is not; the text goes on from the name of the image.
    """
    if len(encoded) > MAX_SIGNATURE_FILE:
        raise LibraryError("is too long")
    try:
        signature = _DECODER.decode(encoded)
        signing.verify(signature.key, Purpose.IMAGE, manifest_digest, signature.signature)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise LibraryError("cannot be read") from None
    except SignatureError:
        raise LibraryError("is not one of this manifest") from None
    return signature

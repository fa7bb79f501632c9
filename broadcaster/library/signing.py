"""Vouching for an image: signing one that is in the library, and refusing to cast what nobody trusted has signed."""

from collections.abc import Callable

from broadcaster.library.image_signature import ImageSignature, sign_digest
from broadcaster.library.library import Library, describe
from broadcaster.library.store import library_errors
from protocol.errors import LibraryError
from protocol.manifest import Manifest
from protocol.signing import SigningKey
from protocol.trust import Trust
from protocol.words import fingerprint_words


def sign_image(
    library: Library,
    name: str,
    version: int | None,
    signer: SigningKey,
    on_wait: Callable[[], None] = lambda: None,
) -> Manifest:
    """Sign one version of an image, the newest without one; ``on_wait`` is called if another command must finish first.

    Raises:
        ConfigError: no name that an image can have.
        LibraryError: no such image or version, its manifest is damaged, or the library cannot be written.
    """
    with library.writing(on_wait), library_errors(library.root):
        manifest = library.load(name, version)
        library.put_signature(manifest.header, sign_digest(manifest.digest, signer))
    return manifest


def signed_by(library: Library, manifest: Manifest, trust: Trust) -> ImageSignature:
    """The signature with which an image may be cast where ``trust`` holds.

    Raises:
        LibraryError: it may not: unsigned, signed by a key that is not trusted, or its signature is damaged.
    """
    signature = library.signature(manifest)
    what = describe(manifest.header)
    remedy = f"if it is what it should be, sign it with 'slatecast image sign {manifest.header.name}'"
    if signature is None:
        raise LibraryError(f"{what}, is not signed, so no receiver would write it: {remedy}")
    if signature.key not in trust.image_keys:
        words = " ".join(fingerprint_words(signature.key))
        raise LibraryError(f"{what}, is signed by a key that is not trusted here ({words}): {remedy}")
    return signature


def signature_or_none(library: Library, manifest: Manifest) -> ImageSignature | None:
    """As ``Library.signature``, where a damaged one counts as none."""
    try:
        return library.signature(manifest)
    except LibraryError:
        return None

"""Re-hash everything that an image consists of, and name what is damaged; goes on to the end whatever it finds."""

from contextlib import closing

from broadcaster.library.library import Library, locate
from protocol.digests import raw_digest
from protocol.disk.codec import unpack
from protocol.disk.parallel import parallel_map
from protocol.disk.source import Progress
from protocol.errors import DecodeError, IntegrityError
from protocol.manifest import Manifest


def verify_image(
    library: Library, manifest: Manifest, progress: Progress = lambda _what, _done, _total: None
) -> list[IntegrityError]:
    """Check every chunk against both of its digests; returns one error per damaged chunk, in disk order.

    Raises:
        LibraryError: the library cannot be read.
    """

    def check(sbn: int) -> IntegrityError | None:
        try:
            read_chunk(library, manifest, sbn)
        except IntegrityError as damage:
            return damage
        return None

    damages = []
    done = 0
    with library.in_use(manifest), closing(parallel_map(check, range(len(manifest)))) as results:
        for chunk, damage in zip(manifest, results, strict=True):
            if damage is not None:
                damages.append(damage)
            done += chunk.stored_length
            progress("verifying", done, manifest.header.stored_bytes)
    return damages


def read_chunk(library: Library, manifest: Manifest, sbn: int) -> bytes:
    """The raw bytes of one chunk, checked as stored and as unpacked.

    Raises:
        IntegrityError: missing or damaged; the text names image, chunk and offset.
    """
    chunk = manifest[sbn]
    stored = library.read_stored(manifest, sbn)
    try:
        raw = unpack(stored, chunk.raw_length)
    except DecodeError as error:
        raise IntegrityError(f"{locate(manifest, chunk)} does not unpack", chunk.raw_digest, b"") from error
    actual = raw_digest(raw)
    if actual != chunk.raw_digest:
        raise IntegrityError(f"{locate(manifest, chunk)} unpacks to other bytes", chunk.raw_digest, actual)
    return raw

"""Re-hash everything that an image consists of, and name what is damaged; goes on to the end whatever it finds."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from broadcaster.library.codec import unpack
from broadcaster.library.library import Library, locate
from broadcaster.library.source import Progress
from protocol.digests import raw_digest
from protocol.errors import DecodeError, IntegrityError
from protocol.manifest import Manifest


def verify_image(
    library: Library, manifest: Manifest, progress: Progress = lambda _what, _done, _total: None
) -> list[IntegrityError]:
    """Check every chunk against both of its digests; returns one error per damaged chunk, in disk order.

    Raises:
        LibraryError: the library cannot be read.
    """
    damages = []
    workers = os.cpu_count() or 1
    checks: deque[Future[IntegrityError | None]] = deque()
    done, total = 0, manifest.header.stored_bytes
    with library.in_use(manifest):
        executor = ThreadPoolExecutor(workers, thread_name_prefix="verify")
        try:
            for sbn in range(len(manifest) + workers):
                if sbn < len(manifest):
                    checks.append(executor.submit(_check, library, manifest, sbn))
                if len(checks) > workers or sbn >= len(manifest):
                    damage = checks.popleft().result() if checks else None
                    damages += [damage] if damage else []
                done += manifest[sbn].stored_length if sbn < len(manifest) else 0
                progress("verifying", done, total)
        finally:
            executor.shutdown(cancel_futures=True)
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


def _check(library: Library, manifest: Manifest, sbn: int) -> IntegrityError | None:
    try:
        read_chunk(library, manifest, sbn)
    except IntegrityError as damage:
        return damage
    return None

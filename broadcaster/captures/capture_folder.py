"""What has arrived of one capture: a folder of the library that nothing else looks into, until it becomes an image.

    captures/ID/state.json     how it stands, see ``broadcaster.captures.capture_store``
    captures/ID/run-N/ab...    chunks that arrived in the Nth run of the broadcaster, named by their raw digest
    captures/ID/disk-...       the disk's description, while it comes and is proved

A chunk in the folder of this run was proved when it arrived. What an earlier run left may have been cut off by a power
cut, since nothing is synced before the end; it is proved again before it counts, and then moved to this run's. Any
number of threads may call. A library that is full is told by LibraryError, and everything that has arrived stays.
"""

import errno
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from broadcaster.captures.proving import is_chunk, is_sound
from protocol.capture import decode_chunks
from protocol.errors import LibraryError, MessageError
from protocol.manifest import CHUNK_SIZE

FULL: Final = "the library is full: it goes on when the operator has freed some space"
"""What a machine is told; its screen is no place for our paths."""

ROOM_LEFT: Final = 256 << 20
"""[bytes] that captures leave free, or a twentieth of a small library: reports, audit log and casts need some."""

_RUN: Final = "run-"
_DESCRIPTION: Final = "disk-"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CaptureFolder:
    """The chunks of one capture; ``root`` is made when the first of them comes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        runs = sorted(_runs(root))
        self._run = root / f"{_RUN}{runs[-1] + 1 if runs else 1}"
        self._earlier = [root / f"{_RUN}{number}" for number in runs]
        for left in root.glob(f"{_DESCRIPTION}*"):
            left.unlink(missing_ok=True)

    def take(self, body: bytes) -> int:
        """Keep the framed chunks of a body, each once it is proved; the bytes that are new. Repeated ones do no harm.

        Raises:
            MessageError: no framed chunks, or one that is not what its digest says; those before it are kept.
            LibraryError: the library is full, or cannot be written.
        """
        self.prepare(len(body))
        new_bytes = 0
        for chunk in decode_chunks(body):
            stored = bytes(chunk.stored)
            if not is_chunk(stored, chunk.raw_digest, chunk.raw_length):
                raise MessageError(f"chunk {chunk.raw_digest.hex()[:16]} is not what its digest says: send it again")
            new_bytes += self._keep(chunk.raw_digest, stored)
        return new_bytes

    def _keep(self, digest: bytes, stored: bytes) -> int:
        final = self._path(digest)
        if final.exists():
            return 0
        with as_library_errors():
            with final.with_suffix(f".{threading.get_ident()}").open("wb") as file:
                file.write(stored)
            Path(file.name).replace(final)
        return len(stored)

    def prepare(self, length: int) -> None:
        """Make sure that ``length`` bytes may come.

        Raises:
            LibraryError: the library is full, or cannot be written.
        """
        with as_library_errors():
            self._run.mkdir(parents=True, exist_ok=True)
            usage = shutil.disk_usage(self.root)
        if usage.free - length < min(ROOM_LEFT, usage.total // 20):
            raise LibraryError(FULL)

    def read(self, digest: bytes) -> bytes | None:
        """The stored bytes of a chunk that arrived and is sound."""
        stored = _contents(self._path(digest))
        if stored is not None:
            return stored
        for run in self._earlier:
            path = run / digest.hex()
            stored = _contents(path)
            if stored is None:
                continue
            if is_sound(stored, digest):
                with as_library_errors():
                    self._run.mkdir(parents=True, exist_ok=True)
                    path.replace(self._path(digest))
                return stored
            with suppress(FileNotFoundError):
                path.unlink()
        return None

    def hand_over(self, digest: bytes, place: Path) -> None:
        """Move a chunk that ``read`` gave into the library; replaces what is there."""
        self._path(digest).replace(place)

    def take_back(self, digest: bytes, place: Path) -> None:
        """Undo ``hand_over``."""
        place.replace(self._path(digest))

    def description(self) -> BinaryIO:
        """A new file for the disk's description, to write and then to read; whoever closes it removes it.

        Raises:
            LibraryError: the library is full, or cannot be written.
        """
        self.prepare(0)
        with as_library_errors():
            return (self.root / f"{_DESCRIPTION}{secrets.token_hex(4)}").open("x+b")

    def clear(self) -> None:
        """Forget all chunks."""
        for number in _runs(self.root):
            shutil.rmtree(self.root / f"{_RUN}{number}", ignore_errors=True)

    def _path(self, digest: bytes) -> Path:
        return self._run / digest.hex()


@contextmanager
def as_library_errors() -> Iterator[None]:
    """Turn what the operating system says of our files into a LibraryError that a machine's screen may show."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise LibraryError(FULL) from error
        raise LibraryError(f"the library cannot be written: {error.strerror or error}; tell the operator") from error


def _runs(root: Path) -> list[int]:
    """Numbers of the runs that left something."""
    with suppress(FileNotFoundError):
        names = [name.removeprefix(_RUN) for name in os.listdir(root) if name.startswith(_RUN)]  # noqa: PTH208 - names
        return [int(name) for name in names if name.isascii() and name.isdecimal()]
    return []


def _contents(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(CHUNK_SIZE + 1)  # a byte more than any chunk: an overlong file shows
    except FileNotFoundError:
        return None

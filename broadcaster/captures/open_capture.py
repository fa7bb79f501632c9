"""An open capture as it lies on the disk, and the work on it that blocks: looking for chunks, and proving the whole."""

import asyncio
import contextlib
import mmap
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final

from broadcaster.captures.capture import Capture
from broadcaster.captures.capture_folder import CaptureFolder, as_library_errors
from broadcaster.captures.proving import is_sound
from broadcaster.captures.publishing import Published, publish_capture
from broadcaster.library.library import Library
from protocol.capture import Finding, decode_disk
from protocol.signing import SigningKey

MAX_PROVED: Final = 1 << 19
"""[digests] per capture of library chunks that are known to be sound: 64 MB for 128 GiB; others are proved again."""


class OpenCapture:
    """What there is of a capture beside its record."""

    def __init__(self, library: Library, folder: CaptureFolder) -> None:
        self.folder: Final = folder
        self.lock: Final = asyncio.Lock()
        """held while the folder is changed"""
        self.finishing: asyncio.Task[None] | None = None
        """proves the disk that was described"""
        self._library = library
        self._proved: set[bytes] = set()

    def lacking(self, digests: Iterable[bytes]) -> list[bool]:
        """Which chunks must be sent. Blocks."""
        return [not self._is_here(digest) for digest in digests]

    def publish(
        self,
        capture: Capture,
        description: BinaryIO,
        *,
        signer: SigningKey | None,
        created: str,
        progress: Callable[[float], None],
    ) -> tuple[Published, tuple[Finding, ...]]:
        """Publish the disk that is described, or say what is missing; and what was found on it. Blocks.

        Raises:
            MessageError: the description is none.
            ManifestError: it contradicts itself.
            LibraryError: the library is full or cannot be written.
        """
        with as_library_errors():
            description.flush()
            length = description.seek(0, os.SEEK_END)
        mapped = mmap.mmap(description.fileno(), length, access=mmap.ACCESS_READ) if length else b""
        disk, rows = decode_disk(memoryview(mapped))  # the map lives as long as the rows that look into it
        published = publish_capture(
            self._library,
            self.folder,
            capture.record,
            disk,
            rows,
            proved=self._proved,
            signer=signer,
            created=created,
            progress=progress,
        )
        return published, disk.findings

    def _is_here(self, digest: bytes) -> bool:
        store = self._library.store
        if digest in self._proved and store.path(digest).exists():
            return True
        stored = store.read(digest)
        if stored is not None and is_sound(stored, digest):
            if len(self._proved) < MAX_PROVED:
                self._proved.add(digest)
            return True
        return self.folder.read(digest) is not None


def write_part(description: BinaryIO, part: bytes) -> None:
    """Keep a part of a description.

    Raises:
        LibraryError: the library is full, or cannot be written.
    """
    with as_library_errors():
        description.write(part)


def discard(description: BinaryIO) -> None:
    """Close and remove it."""
    with contextlib.suppress(OSError):
        description.close()
    Path(description.name).unlink(missing_ok=True)

"""Give an image back as a sparse raw file: byte-identical where the disk was in use, zeros elsewhere.

The file is written under a temporary name beside its final one and renamed when it is complete and on the medium. It
refuses to replace a file unasked, and devices altogether: writing disks is the receiver's job, which checks first.
"""

import os
import tempfile
from contextlib import closing
from pathlib import Path

from broadcaster.library.library import Library, describe
from broadcaster.library.verifying import read_chunk
from protocol.disk.parallel import parallel_map
from protocol.disk.source import Progress
from protocol.errors import DiskError, TargetError
from protocol.link.whole_file import sync_folder
from protocol.manifest import Manifest


def export_image(
    library: Library,
    manifest: Manifest,
    target: Path,
    *,
    force: bool = False,
    progress: Progress = lambda _what, _done, _total: None,
) -> None:
    """Write the whole disk of an image to ``target``; ``force`` allows to replace a file that is there.

    Raises:
        TargetError: ``target`` is there already, is no plain file, or its folder cannot be written.
        IntegrityError: a chunk is missing or damaged; nothing is left behind.
        DiskError: writing failed; nothing is left behind.
    """
    if target.exists() and not target.is_file():
        raise TargetError(str(target), "is no plain file; to write a disk, use 'slatecast receive --target'")
    if target.exists() and not force:
        raise TargetError(str(target), f"is there already; --force replaces it with {describe(manifest.header)}")
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    except OSError as error:
        raise TargetError(str(target), f"cannot be written: {error.strerror}") from error
    try:
        with library.in_use(manifest):
            _write(library, manifest, descriptor, progress)
        os.fchmod(descriptor, 0o666 & ~_umask())
        Path(temporary).rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise DiskError(str(target), "writing", error.strerror or str(error)) from error
    finally:
        os.close(descriptor)
        Path(temporary).unlink(missing_ok=True)


def _write(library: Library, manifest: Manifest, descriptor: int, progress: Progress) -> None:
    os.ftruncate(descriptor, manifest.header.disk_size)
    done, total = 0, sum(chunk.raw_length for chunk in manifest)
    with closing(parallel_map(lambda sbn: read_chunk(library, manifest, sbn), range(len(manifest)))) as chunks:
        for place, raw in zip(manifest, chunks, strict=True):
            written = os.pwrite(descriptor, raw, place.offset)
            while written < len(raw):
                written += os.pwrite(descriptor, raw[written:], place.offset + written)
            done += len(raw)
            progress("exporting", done, total)
    os.fsync(descriptor)


def _umask() -> int:
    """The permissions that a plain ``open`` would withhold; mkstemp withholds nearly all."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

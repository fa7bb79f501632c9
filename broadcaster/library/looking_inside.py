"""What lies on the disk of an image, file by file, without deploying or exporting it.

    /                 the partitions
    /2                the root folder of the file system in partition 2
    /2/home/anna      and so on; a disk without a partition table is partition 0

The file system is mounted read-only, where nobody else sees it, from a disk that is unpacked as it is read. Its names
and links are a stranger's: paths are resolved within it, nothing but files, folders and links is taken out, and links
are taken out as links, never followed.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from broadcaster.library.library import Library, describe
from broadcaster.library.served_disk import served_disk
from protocol.disk.in_root import open_in_root
from protocol.disk.mounts import MOUNTABLE, mounted
from protocol.disk.private_mounts import Check, in_private_mounts
from protocol.disk.source import Progress
from protocol.disk.system_tools import loop_device
from protocol.errors import DiskError, RefusedError, TargetError
from protocol.manifest import Manifest, PartitionInfo

Result = TypeVar("Result")

_PART: Final = 1 << 20
"""[bytes] copied at once"""

MAX_DEPTH: Final = 200
"""[folders] in each other that are taken out: each holds two files open, and a process may have 1,024."""

_RIGHTS: Final = 0o755
"""The most that anything taken out gets: file systems without rights say that everybody may write everything."""

_ENCRYPTED: Final = ("crypto_LUKS", "BitLocker")
_LOOK: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Opening a pipe or device of a stranger must neither wait nor become our terminal."""


class EntryKind(StrEnum):
    """What an entry of a folder is."""

    PARTITION = "partition"
    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    OTHER = "other"
    """device, pipe or socket: shown, never taken out"""


@dataclass(frozen=True)
class Entry:
    """One line of a listing."""

    name: str
    """as it is on the disk; bytes that are no UTF-8 as surrogates, so escape it before it is shown"""
    kind: EntryKind
    size: int
    """bytes"""
    changed: float
    """seconds since 1970; 0 for partitions"""
    target: str = ""
    """of a link as it is on the disk; of a partition its file system and label"""


@dataclass
class Extracted:
    """What was taken out."""

    files: int = 0
    folders: int = 0
    links: int = 0
    bytes: int = 0
    left_out: int = 0
    """devices, pipes and sockets"""


def list_folder(library: Library, manifest: Manifest, path: str) -> list[Entry]:
    """What lies in a folder of an image, by name, or the one line for a file.

    Raises:
        ConfigError: not root.
        RefusedError: no such path, or nobody can look into that partition.
        DiskError: its file system is damaged.
    """
    number, inner = _split(path)
    if number is None:
        return [_partition_entry(partition) for partition in manifest.header.partitions]

    def look(root: int, _check: Check) -> list[Entry]:
        descriptor = _opened(root, inner, path)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                return [_entry(Path(inner).name, os.fstat(descriptor), "")]
            with os.scandir(descriptor) as entries:
                names = sorted(entry.name for entry in entries)
            return [_entry_at(descriptor, name) for name in names]
        finally:
            os.close(descriptor)

    return _inside(library, manifest, number, look)


def extract(
    library: Library,
    manifest: Manifest,
    path: str,
    destination: Path,
    progress: Progress = lambda _what, _done, _total: None,
) -> Extracted:
    """Copy a file, or a folder with all that lies in it, to ``destination``, which must not be there yet.

    Files and folders belong to whoever runs this, and nobody else may write them.

    Raises:
        TargetError: ``destination`` is there, or cannot be made.
        ConfigError, RefusedError, DiskError: as ``list_folder``; what was copied until then stays.
    """
    number, inner = _split(path)
    if number is None:
        raise RefusedError(f"{path!r} means the whole disk: name a partition and a path in it, such as /2/home")
    if os.path.lexists(destination):
        raise TargetError(str(destination), "is there already: name a place that is new")
    if not destination.absolute().parent.is_dir():
        raise TargetError(str(destination), "cannot be made: there is no such folder to put it in")

    def copy(root: int, check: Check) -> Extracted:
        done = Extracted()
        source = _opened(root, inner, path)
        folder = os.open(destination.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _Copy(done, check, progress, destination).take(source, folder, destination.name)
        finally:
            os.close(folder)
            os.close(source)
        return done

    return _inside(library, manifest, number, copy)


def _inside(library: Library, manifest: Manifest, number: int, work: Callable[[int, Check], Result]) -> Result:
    """Run ``work`` with the root folder of the file system in a partition."""
    partition = _known_partition(manifest, number)

    def mount_and_work(check: Check) -> Result:
        with _mounted_partition(library, manifest, partition) as root:
            return work(root, check)

    return in_private_mounts(mount_and_work)


@contextmanager
def _mounted_partition(library: Library, manifest: Manifest, partition: PartitionInfo) -> Iterator[int]:
    what = f"partition {partition.number} of {describe(manifest.header)}"
    with library.in_use(manifest), served_disk(library, manifest) as (disk, complaint):
        try:
            with (
                loop_device(disk, partition.offset, partition.length, manifest.header.logical_sector_size) as device,
                mounted(device, partition.filesystem) as folder,
            ):
                root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    yield root
                finally:
                    os.close(root)
        except OSError as error:
            raise DiskError(what, "reading", complaint() or error.strerror or str(error)) from error
        except (RefusedError, DiskError) as error:
            reason = complaint()
            if reason:
                raise DiskError(what, "reading", reason) from error
            raise


def _known_partition(manifest: Manifest, number: int) -> PartitionInfo:
    what = describe(manifest.header)
    partition = next((each for each in manifest.header.partitions if each.number == number), None)
    if partition is None:
        numbers = ", ".join(str(each.number) for each in manifest.header.partitions) or "none"
        raise RefusedError(f"{what}, has no partition {number}, only {numbers}")
    filesystem = partition.filesystem
    if filesystem in _ENCRYPTED:
        raise RefusedError(f"partition {number} of {what} is encrypted ({filesystem}): nobody can look into it here")
    if filesystem not in MOUNTABLE:
        named = f"holds {filesystem}" if filesystem else "holds no file system that is known"
        raise RefusedError(f"partition {number} of {what} {named}: there are no files to look at")
    return partition


def _split(path: str) -> tuple[int | None, str]:
    """The number of the partition, None for all of them, and the path in it."""
    first, _, inner = path.strip("/").partition("/")
    if not first:
        return None, ""
    if not (first.isascii() and first.isdecimal() and len(first) <= 6):
        raise RefusedError(f"{path!r}: a path in an image begins with the number of a partition, such as /2/home")
    return int(first), inner


def _opened(root: int, inner: str, path: str) -> int:
    try:
        return open_in_root(root, inner, _LOOK)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            raise
        raise RefusedError(f"there is nothing to read at {path!r} in this image") from error


def _entry_at(folder: int, name: str) -> Entry:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return _entry(name, status, os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else "")


def _entry(name: str, status: os.stat_result, target: str) -> Entry:
    return Entry(name, _kind(status.st_mode), status.st_size, status.st_mtime, target)


def _kind(mode: int) -> EntryKind:
    kinds = {stat.S_IFDIR: EntryKind.FOLDER, stat.S_IFREG: EntryKind.FILE, stat.S_IFLNK: EntryKind.LINK}
    return kinds.get(stat.S_IFMT(mode), EntryKind.OTHER)


def _partition_entry(partition: PartitionInfo) -> Entry:
    about = " ".join(filter(None, (partition.filesystem or "unknown", partition.label)))
    return Entry(str(partition.number), EntryKind.PARTITION, partition.length, 0.0, about)


class _Copy:
    """Takes files out, one after the other; both ends are reached by open folders alone, so no link leads astray."""

    def __init__(self, done: Extracted, check: Check, progress: Progress, destination: Path) -> None:
        self._done = done
        self._check = check
        self._progress = progress
        self._destination = destination

    def take(self, source: int, folder: int, name: str, depth: int = 0) -> None:
        """Copy what ``source`` is to ``name`` in an open folder."""
        self._check()
        status = os.fstat(source)
        if stat.S_ISDIR(status.st_mode):
            if depth >= MAX_DEPTH:
                raise RefusedError(f"folders lie in each other more than {MAX_DEPTH} deep: take out a smaller part")
            self._take_folder(source, status, folder, name, depth)
        elif stat.S_ISREG(status.st_mode):
            self._take_file(source, status, folder, name)
        else:
            self._done.left_out += 1

    def _take_folder(self, source: int, status: os.stat_result, folder: int, name: str, depth: int) -> None:
        with self._writing():
            os.mkdir(name, 0o700, dir_fd=folder)
            made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            with os.scandir(source) as entries:
                names = sorted(entry.name for entry in entries)
            for each in names:
                self._take_entry(source, made, each, depth)
            with self._writing():
                os.fchmod(made, status.st_mode & _RIGHTS | 0o700)
                os.utime(made, (status.st_atime, status.st_mtime))
        finally:
            os.close(made)
        self._done.folders += 1

    def _take_entry(self, source: int, made: int, name: str, depth: int) -> None:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = _kind(status.st_mode)
        if kind is EntryKind.LINK:
            target = os.readlink(name, dir_fd=source)
            with self._writing():
                os.symlink(target, name, dir_fd=made)
            self._done.links += 1
        elif kind is EntryKind.OTHER:
            self._done.left_out += 1
        else:
            descriptor = os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=source)
            try:
                self.take(descriptor, made, name, depth + 1)
            finally:
                os.close(descriptor)

    def _take_file(self, source: int, status: os.stat_result, folder: int, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._writing():
            made = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            copied = 0
            while part := os.read(source, _PART):
                self._check()
                with self._writing():
                    rest = memoryview(part)
                    while rest:
                        rest = rest[os.write(made, rest) :]
                copied += len(part)
                self._done.bytes += len(part)
                self._progress("extracting", copied, status.st_size)
            with self._writing():
                os.fchmod(made, status.st_mode & _RIGHTS)
                os.utime(made, (status.st_atime, status.st_mtime))
        finally:
            os.close(made)
        self._done.files += 1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What goes wrong in here is the fault of where the files go, not of the image."""
        try:
            yield
        except OSError as error:
            raise DiskError(str(self._destination), "writing", error.strerror or str(error)) from error

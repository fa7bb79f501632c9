"""The disk as the receiver needs it: write, zero, sync, and read back what really lies there.

``BlockDevice`` is the interface (tests put a device with a power switch behind it), ``DiskDevice`` is a block device or
a regular file of the operating system. It refuses a disk that anybody else uses, a write beyond the end, and any work
after a failed fsync: the kernel forgets the pages that it could not write, so a second fsync would lie ("fsyncgate").
Every operating system error leaves as DiskError with the place on the disk; only ``open`` raises TargetError, since
nothing is written by then. Threads may call everything at the same time. See open(2), fsync(2), posix_fadvise(2).
"""

import errno
import fcntl
import mmap
import os
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from protocol.digests import Buffer
from protocol.errors import DiskError, SessionStateError, TargetError

DIRECT_ALIGNMENT: Final = 4096
"""[bytes] Offset, length and address of O_DIRECT reads: the largest logical sector size in use, so it fits all."""

_BLKROGET: Final = 0x125E
"""linux/fs.h: whether the device is read-only."""
_BLKSSZGET: Final = 0x1268
"""linux/fs.h: logical sector size."""
_BLKZEROOUT: Final = 0x127F
"""linux/fs.h: write zeros, by the disk's own command where it has one; unlike a discard, zeros are promised."""
_UINT64_PAIR: Final = struct.Struct("=QQ")
_ZEROS: Final = bytes(1 << 20)
"""Written where the device cannot zero by itself. Chosen: 1 MiB, large enough for full speed."""

_OPEN_REASONS: Final = {
    errno.EBUSY: "is in use: mounted, swap, part of a RAID or LVM, or opened by another program",
    errno.EACCES: "may not be written by this user; run as root, or give the user write access",
    errno.EPERM: "may not be written by this user; run as root, or give the user write access",
    errno.EROFS: "is read-only",
    errno.ENOENT: "does not exist",
    errno.ENXIO: "is a device node without a device behind it",
    errno.ENOMEDIUM: "has no medium in it",
    errno.ETXTBSY: "is in use as a running program or as swap",
}


class BlockDevice(Protocol):
    """A disk of fixed size; offsets and lengths are bytes. Only DiskError leaves, and SessionStateError for misuse."""

    @property
    def name(self) -> str:
        """What the operator calls it."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def logical_sector_size(self) -> int | None:
        """Bytes; None where any sector size fits, as in a regular file."""

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of ``data``; it is on the disk only after the next ``sync``."""

    def zero_range(self, offset: int, length: int) -> None:
        """Make the range read as zeros; on the disk only after the next ``sync``."""

    def sync(self) -> None:
        """Bring everything written before this call to the disk; an error is final for the device."""

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """The (offset, length) parts of a range that may hold anything but zeros; all of it where nobody can tell."""

    def is_hole(self, offset: int, length: int) -> bool:
        """Whether the range is known to read as zeros; asks no more than that, so it is quick on any disk."""

    def read_uncached(self, offset: int, length: int, buffer: mmap.mmap) -> memoryview:
        """The bytes from the disk itself, past the system's cache, as a view into ``buffer`` until its next use.

        ``buffer`` comes from ``new_read_buffer(length)`` or longer, one for each thread.
        """


def new_read_buffer(length: int) -> mmap.mmap:
    """Page-aligned memory for ``read_uncached`` of at most ``length`` bytes at any offset."""
    return mmap.mmap(-1, _round_up(length) + DIRECT_ALIGNMENT)


class DiskDevice:
    """A block device or a regular file, opened for this receiver alone. Open with ``DiskDevice.open``."""

    def __init__(self, name: str, file_descriptor: int) -> None:
        self._name = name
        self._fd = file_descriptor
        self._is_block_device = stat.S_ISBLK(os.fstat(file_descriptor).st_mode)
        self._size = os.lseek(file_descriptor, 0, os.SEEK_END)
        self._logical_sector_size = _int_ioctl(file_descriptor, _BLKSSZGET) if self._is_block_device else None
        self._direct_fd = _open_direct(file_descriptor)
        self._reads_direct = self._direct_fd >= 0
        self._sync_failure: DiskError | None = None

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the disk for writing and keep everybody else out: by O_EXCL (block device) or flock (file).

        Raises:
            TargetError: missing, in use, read-only, not permitted, or neither a block device nor a regular file.
        """
        return cls._open(path, os.O_RDWR)

    @classmethod
    def open_to_read(cls, path: str | Path) -> Self:
        """Open the disk so that nothing can be written to it, while others may read it too.

        Nobody has it to himself at this moment; later somebody may take a block device to write to it.

        Raises:
            TargetError: as ``open``.
        """
        return cls._open(path, os.O_RDONLY)

    @classmethod
    def _open(cls, path: str | Path, access: int) -> Self:
        name = os.fspath(path)
        try:
            return cls(name, _open_alone(name, access))
        except ValueError as error:  # a NUL in the path
            raise TargetError(name, str(error)) from error
        except OSError as error:
            reason = _OPEN_REASONS.get(error.errno or 0, f"cannot be opened: {error.strerror}")
            raise TargetError(name, reason) from error

    def close(self) -> None:
        """Give the disk back; what was not synced may or may not be written."""
        for fd in (self._direct_fd, self._fd):
            if fd >= 0:
                with suppress(OSError):  # FUSE and NFS flush here too: what counts has been synced, and judged, before
                    os.close(fd)
        self._direct_fd = self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The path as it was given."""
        return self._name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    @property
    def logical_sector_size(self) -> int | None:
        """Bytes; None for a regular file."""
        return self._logical_sector_size

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of ``data`` and let the disk start on it at once."""
        self._check(offset, len(data))
        rest = memoryview(data)
        position = offset
        while rest:
            try:
                written = os.pwrite(self._fd, rest, position)
            except OSError as error:
                raise self._disk_error("write", error, position) from error
            position += written
            rest = rest[written:]
        # DONTNEED starts the write-back of dirty pages (mm/fadvise.c). So the last fsync is short, the page cache holds
        # little, and a slow disk is felt now. Measured for 1 GiB on a virtual disk: 0.35 s in all, without it 1.05 s.
        os.posix_fadvise(self._fd, offset, len(data), os.POSIX_FADV_DONTNEED)

    def zero_range(self, offset: int, length: int) -> None:
        """Zero by the device's own command, or by writing zeros wherever a file is not a hole already."""
        self._check(offset, length)
        if self._is_block_device and self._zero_by_command(offset, length):
            return
        for start, data_length in self.data_ranges(offset, length):
            for position in range(start, start + data_length, len(_ZEROS)):
                self.write_at(position, memoryview(_ZEROS)[: start + data_length - position])

    def sync(self) -> None:
        """Flush to the medium; after an error every later call on this device raises that error again."""
        self._check(0, 0)
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._sync_failure = self._disk_error("fsync", error)
            raise self._sync_failure from error

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """The parts of a file that are not holes; a block device has none that it tells of."""
        self._check(offset, length)
        end = offset + length
        if self._is_block_device:
            yield offset, length
            return
        position = self._seek(offset, os.SEEK_DATA)
        while position < end:
            hole = min(self._seek(position, os.SEEK_HOLE), end)
            yield position, hole - position
            position = self._seek(hole, os.SEEK_DATA)

    def is_hole(self, offset: int, length: int) -> bool:
        """Of files only; asks for no end of the data, for which tmpfs looks at every page up to it."""
        self._check(offset, length)
        return not self._is_block_device and self._seek(offset, os.SEEK_DATA) >= offset + length

    def read_uncached(self, offset: int, length: int, buffer: mmap.mmap) -> memoryview:
        """Read with O_DIRECT; where the file system has none, drop the (synced, so clean) pages before and after."""
        self._check(offset, length)
        start = offset // DIRECT_ALIGNMENT * DIRECT_ALIGNMENT
        span = memoryview(buffer)[: _round_up(offset + length) - start]
        needed = offset + length - start
        if len(span) < needed:
            raise SessionStateError(f"a read buffer of {len(buffer)} bytes is too short for {length} bytes at {offset}")
        try:
            if not (self._reads_direct and self._read_direct(start, span, needed)):
                os.posix_fadvise(self._fd, start, len(span), os.POSIX_FADV_DONTNEED)
                self._read_in_full(self._fd, start, span, needed)
                # A pass over a large disk must not push everything else out of the memory of the PC.
                os.posix_fadvise(self._fd, start, len(span), os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise self._disk_error("read", error, offset) from error
        return span[offset - start : needed]

    def _read_direct(self, start: int, span: memoryview, needed: int) -> bool:
        """False where O_DIRECT opens but does not read like this, as on some FUSE file systems."""
        try:
            self._read_in_full(self._direct_fd, start, span, needed)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._reads_direct = False
        return self._reads_direct

    def _read_in_full(self, fd: int, start: int, span: memoryview, needed: int) -> None:
        done = 0
        while done < needed:
            count = os.preadv(fd, [span[done:]], start + done)
            if count == 0:
                raise DiskError(self._name, "read", "the disk ends too early", start + done)
            done += count

    def _seek(self, position: int, whence: int) -> int:
        try:
            return os.lseek(self._fd, position, whence)
        except OSError as error:
            if error.errno == errno.ENXIO:  # lseek(2): no data from here to the end of the file
                return self._size
            raise self._disk_error("seek", error, position) from error

    def _zero_by_command(self, offset: int, length: int) -> bool:
        try:
            fcntl.ioctl(self._fd, _BLKZEROOUT, _UINT64_PAIR.pack(offset, length))
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY):
                return False
            raise self._disk_error("zero", error, offset) from error
        return True

    def _check(self, offset: int, length: int) -> None:
        if self._sync_failure is not None:
            raise self._sync_failure.with_traceback(None)
        if self._fd < 0:
            raise SessionStateError(f"{self._name} is closed")
        if offset < 0 or length < 0 or offset + length > self._size:
            raise SessionStateError(f"{self._name}: {length} bytes at {offset} are not within its {self._size} bytes")

    def _disk_error(self, operation: str, error: OSError, offset: int | None = None) -> DiskError:
        return DiskError(self._name, operation, error.strerror or str(error), offset)


def _round_up(length: int) -> int:
    return -(-length // DIRECT_ALIGNMENT) * DIRECT_ALIGNMENT


def _int_ioctl(fd: int, request: int) -> int:
    return int.from_bytes(fcntl.ioctl(fd, request, bytes(4)), sys.byteorder)


def _open_alone(name: str, access: int) -> int:
    mode = Path(name).stat().st_mode
    if stat.S_ISBLK(mode):
        fd = os.open(name, access | os.O_CLOEXEC | os.O_EXCL)
        if _int_ioctl(fd, _BLKROGET):  # the kernel opens it all the same and refuses the first write
            os.close(fd)
            raise TargetError(name, _OPEN_REASONS[errno.EROFS])
        return _shared(name, fd) if access == os.O_RDONLY else fd
    if not stat.S_ISREG(mode):
        raise TargetError(name, "is neither a disk nor a regular file")
    fd = os.open(name, access | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if access == os.O_RDONLY else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise TargetError(name, "is in use: another receiver writes to it") from error
    return fd


def _shared(name: str, fd: int) -> int:
    """The same disk without the claim to it: a backup reads it while a plan looks at it."""
    try:
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


def _open_direct(fd: int) -> int:
    """A second, reading descriptor of the same file with O_DIRECT; -1 where the file system refuses it."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return -1

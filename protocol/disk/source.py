"""A source: whatever an operator calls a disk image, opened as the raw bytes of a disk.

Raw files and block devices are read where they are, and holes of sparse files are never read. Virtual disks (qcow2,
vmdk, vhdx, vdi, vhd) are unfolded by qemu-img into a sparse file in a scratch folder, which goes away afterwards. What
is plainly something else, is cut short, or is in use by this machine is refused in words before anything is read.
"""

import errno
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.disk.outside_files import refuse_outside_files
from protocol.disk.system_tools import last_line, need_tool, run_tool, tool_environment
from protocol.errors import SourceError

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many."""

_VIRTUAL_DISKS: Final = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"conectix", "vpc"),
)
"""(offset, first bytes, qemu's name). We choose the format, never qemu-img's probing: a raw disk's first sector is
written by whoever used that disk, and could pose as a qcow2 whose backing file is any file of this machine."""

_FOREIGN: Final = (
    (0, b"\x1f\x8b", "a gzip file", "unpack it first"),
    (0, b"\xfd7zXZ\0", "an xz file", "unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first"),
    (0, b"BZh", "a bzip2 file", "unpack it first"),
    (0, b"\x04\x22\x4d\x18", "an lz4 file", "unpack it first"),
    (0, b"PK\x03\x04", "a zip archive", "unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (257, b"ustar", "a tar archive", "unpack it first"),
    (0, b"partclone-image", "a partclone image", "restore it to a raw file with partclone.restore first"),
    (0, b"MSWIM\0\0\0", "a Windows WIM file", "slatecast needs the disk that it was applied to"),
    (0, b"SLATEMAN", "a slatecast manifest", "name the image, not its manifest"),
    (0, b"\x7fELF", "a program", "slatecast needs a disk image"),
    (0, b"%PDF", "a PDF document", "slatecast needs a disk image"),
    (0, b"\x89PNG", "a picture", "slatecast needs a disk image"),
    (0, b"\xff\xd8\xff", "a picture", "slatecast needs a disk image"),
    (0, b"#!", "a script", "slatecast needs a disk image"),
)
"""(offset, first bytes, what it is, what to do). Anything else may be a disk: an encrypted one is noise."""

_SNIFF_LENGTH: Final = 8192
_GPT_SIGNATURE: Final = b"EFI PART"
_QEMU_PROGRESS: Final = re.compile(rb"\((\d+\.\d+)/100%\)")
_QEMU_OUTPUT_KEPT: Final = 16384
"""[bytes] of what qemu-img prints: enough for its last complaint."""

_QEMU_CHECK_BAD: Final = (1, 2)
"""Exit codes of ``qemu-img check`` for a file that is damaged; 3 is lost clusters, which do no harm, 63 no check."""


@dataclass(frozen=True)
class Source:
    """An open disk image; valid inside ``open_source``."""

    path: Path
    """raw bytes of the disk: a file or a block device"""
    origin: str
    """what the operator named, for people"""
    size: int
    """bytes"""
    logical_sector_size: int
    """bytes"""
    descriptor: int

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """(start, stop) in bytes of what may hold something; the rest are holes, which read as zeros."""
        end = 0
        while end < self.size:
            try:
                start = os.lseek(self.descriptor, end, os.SEEK_DATA)
                end = os.lseek(self.descriptor, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                    return
                start, end = end, self.size  # a device, or a file system that knows no holes
            yield start, min(end, self.size)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from byte ``offset``.

        Raises:
            SourceError: the medium cannot be read there, or ends there.
        """
        try:
            data = os.pread(self.descriptor, length, offset)
        except OSError as error:
            raise SourceError(self.origin, f"cannot be read at byte {offset}: {error.strerror}") from error
        if len(data) != length:
            raise SourceError(
                self.origin, f"ends at byte {offset + len(data)} while being read: is it still written to?"
            )
        return data


@contextmanager
def open_source(path: Path, scratch: Path, progress: Progress) -> Iterator[Source]:
    """Open an image file or a block device as a disk; ``scratch`` is a folder for what must be unfolded.

    Raises:
        SourceError: missing, unreadable, empty, cut short, mounted, or no disk image.
        OSError: no room in ``scratch``.
        LibraryError: qemu-img is needed and not installed.
    """
    path = path.absolute()
    with _open(path, str(path)) as descriptor:
        virtual_format = _recognise(path, descriptor)
        if virtual_format is None:
            yield _raw_source(path, str(path), descriptor)
            return
    unfolded = scratch / "unfolded.raw"
    try:
        _unfold(path, virtual_format, unfolded, progress)
        with _open(unfolded, str(path)) as descriptor:
            yield _raw_source(unfolded, str(path), descriptor)
    finally:
        unfolded.unlink(missing_ok=True)


@contextmanager
def open_raw(path: Path, origin: str, logical_sector_size: int) -> Iterator[Source]:
    """Open a disk that we wrote to a file ourselves: raw, whatever its first bytes look like.

    Raises:
        SourceError: it cannot be read.
    """
    with _open(path, origin) as descriptor:
        yield Source(path, origin, os.lseek(descriptor, 0, os.SEEK_END), logical_sector_size, descriptor)


@contextmanager
def _open(path: Path, origin: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a named pipe must not block us
    except OSError as error:
        raise SourceError(origin, (error.strerror or str(error)).lower()) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _recognise(path: Path, descriptor: int) -> str | None:
    """The name that qemu has for the format of a virtual disk, or None for a raw disk; anything else is refused."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise SourceError(str(path), "is a folder, not a disk image")
    if stat.S_ISBLK(mode):
        _refuse_mounted(path)
        return None
    if not stat.S_ISREG(mode):
        raise SourceError(str(path), "is neither a file nor a disk")
    try:
        beginning = os.pread(descriptor, _SNIFF_LENGTH, 0)
    except OSError as error:
        raise SourceError(str(path), f"cannot be read: {error.strerror}") from error
    if not beginning:
        raise SourceError(str(path), "is empty")
    for offset, magic, what, advice in _FOREIGN:
        if beginning.startswith(magic, offset):
            raise SourceError(str(path), f"is {what}, not a disk image: {advice}")
    return next((name for offset, magic, name in _VIRTUAL_DISKS if beginning.startswith(magic, offset)), None)


def _raw_source(path: Path, origin: str, descriptor: int) -> Source:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    sector_size = _logical_sector_size(path, descriptor)
    if size == 0:
        raise SourceError(origin, "is empty")
    if size % sector_size:
        raise SourceError(
            origin, f"is cut short or no disk image: {size} bytes are not a whole number of {sector_size}-byte sectors"
        )
    return Source(path, origin, size, sector_size, descriptor)


def _logical_sector_size(path: Path, descriptor: int) -> int:
    """What the device says; for a file, where the GPT header lies, since that is sector 1."""
    if stat.S_ISBLK(os.fstat(descriptor).st_mode):
        answer = run_tool(need_tool("lsblk"), "--nodeps", "--noheadings", "--output", "LOG-SEC", str(path)).stdout
        return int(answer) if answer.strip().isdecimal() else 512
    is_4k = os.pread(descriptor, 8, 512) != _GPT_SIGNATURE and os.pread(descriptor, 8, 4096) == _GPT_SIGNATURE
    return 4096 if is_4k else 512


def _refuse_mounted(path: Path) -> None:
    """A file system that changes while it is read gives an image that never existed."""
    listing = run_tool(need_tool("lsblk"), "--json", "--list", "--output", "PATH,MOUNTPOINTS", str(path))
    with suppress(ValueError, KeyError, TypeError):
        for device in json.loads(listing.stdout)["blockdevices"]:
            for mount_point in filter(None, device["mountpoints"]):
                raise SourceError(str(path), f"is in use ({device['path']} at {mount_point}): unmount it first")


def _unfold(path: Path, virtual_format: str, unfolded: Path, progress: Progress) -> None:
    """Let qemu-img write the raw disk, sparse; refuses damaged files and files that pull in other files."""
    origin = str(path)
    refuse_outside_files(path, virtual_format)
    qemu_img = need_tool("qemu-img")
    described = run_tool(qemu_img, "info", "-f", virtual_format, "--output=json", origin)
    if described.returncode != 0:
        raise SourceError(origin, f"is a damaged {virtual_format} file: {last_line(described.stderr)}")
    information = json.loads(described.stdout)
    external = information.get("backing-filename") or (
        information.get("format-specific", {}).get("data", {}).get("data-file")
    )
    if external:
        raise SourceError(origin, f"is only the changes to {external}: flatten it first with qemu-img convert")
    _refuse_cut_short(path, virtual_format, qemu_img)
    size = information["virtual-size"]
    complaint = _convert(
        [qemu_img, "convert", "-p", "-f", virtual_format, "-O", "raw", origin, str(unfolded)],
        lambda percent: progress(f"unfolding {virtual_format}", int(percent * size / 100), size),
    )
    if complaint is not None:
        if os.strerror(errno.ENOSPC) in complaint or os.strerror(errno.EFBIG) in complaint:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(unfolded.parent))
        raise SourceError(origin, f"qemu-img cannot unfold it: {last_line(complaint)}")


def _convert(command: list[str], report: Callable[[float], None]) -> str | None:
    """Run qemu-img to its end, or kill it when ``report`` raises; returns what it printed if it failed."""
    printed = b""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # one pipe, so that neither can fill up unread
        env=tool_environment(),
    ) as process:
        assert process.stdout is not None
        try:
            while output := os.read(process.stdout.fileno(), 4096):
                printed = (printed + output)[-_QEMU_OUTPUT_KEPT:]
                for percent in _QEMU_PROGRESS.findall(output)[-1:]:
                    report(float(percent))
        except BaseException:
            process.kill()
            raise
    return None if process.returncode == 0 else printed.decode(errors="replace").replace("\r", "\n")


def _refuse_cut_short(path: Path, virtual_format: str, qemu_img: str) -> None:
    """Where a virtual disk's file ends too early qemu reads zeros, so a broken download would go unnoticed."""
    checked = run_tool(qemu_img, "check", "-f", virtual_format, str(path))
    if checked.returncode in _QEMU_CHECK_BAD:
        raise SourceError(str(path), f"is a damaged or cut short {virtual_format} file: 'qemu-img check' finds errors")
    if virtual_format != "vdi":
        return
    # qemu-img 7.2 checks the end of the file for every format but this one.
    size = path.stat().st_size
    mapped = run_tool(qemu_img, "map", "-f", virtual_format, "--output=json", str(path))
    extents = json.loads(mapped.stdout) if mapped.returncode == 0 else []
    if any(extent["data"] and extent["offset"] + extent["length"] > size for extent in extents):
        raise SourceError(str(path), f"is cut short: its data goes beyond its {size} bytes")

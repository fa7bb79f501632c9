"""Refuses virtual disks that name other files, before any tool opens them.

A qcow2 can keep its data in another file and a vmdk is often nothing but a list of others; to qemu-img such a name may
be any path of this machine, or a url. Whoever made the file would have this machine read, and cast to a whole room,
what only its administrator may read (as OpenStack did, CVE-2022-47951 and CVE-2024-32498). A vmdk may name files that
lie beside it, since that is how they are exported; nothing else may. Backing files are qemu-img's to tell: asking it
about a file does not open them.
"""

import re
import struct
from pathlib import Path
from typing import Final

from protocol.errors import SourceError

_QCOW2_HEADER: Final = struct.Struct(">4sI64xQ")
"""Magic, version, and incompatible features of a version 3 header (qemu docs/interop/qcow2)."""

_EXTERNAL_DATA_FILE: Final = 1 << 2

_VMDK_HEADER: Final = struct.Struct("<4sIIQQQQ")
"""Magic, version, flags, capacity, grain size, offset and size of the embedded descriptor, the last four in sectors."""


_LONGEST_DESCRIPTOR: Final = 1 << 20
"""[bytes] qemu reads 10 KiB of an embedded one, and of a file of its own no more than 1 MiB; more is no descriptor."""

_EXTENT: Final = re.compile(rb'^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]+\d+[ \t]+(\w+)(?:[ \t]+"([^"\r\n]*)")?', re.MULTILINE)
_EXTENT_LIKE: Final = re.compile(rb"^\s*(?:RW|RDONLY|NOACCESS)\b", re.MULTILINE)
_NAMELESS: Final = b"ZERO"
_SUFFIX: Final = ".vmdk"


def refuse_outside_files(path: Path, virtual_format: str) -> None:
    """Look at what the file itself says.

    Args:
        path: absolute, of a virtual disk.
        virtual_format: qemu's name of its format.

    Raises:
        SourceError: it names a file that it may not name, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(_LONGEST_DESCRIPTOR)
    except OSError as error:
        raise SourceError(str(path), f"cannot be read: {error.strerror}") from error
    if virtual_format == "qcow2":
        _check_qcow2(path, beginning)
    elif virtual_format == "vmdk":
        _check_vmdk(path, beginning)


def _check_qcow2(path: Path, beginning: bytes) -> None:
    if len(beginning) < _QCOW2_HEADER.size:
        return  # qemu-img says better what is wrong with it
    _magic, version, features = _QCOW2_HEADER.unpack_from(beginning)
    if version >= 3 and features & _EXTERNAL_DATA_FILE:
        raise SourceError(str(path), "keeps its data in another file: flatten it first with qemu-img convert")


def _check_vmdk(path: Path, beginning: bytes) -> None:
    if beginning.startswith(b"KDMV"):
        if len(beginning) < _VMDK_HEADER.size:
            return
        *_, capacity, _grain, _offset, _size = _VMDK_HEADER.unpack_from(beginning)
        if capacity:
            return  # its data is in this file, whatever its descriptor says
        raise SourceError(str(path), "is a damaged vmdk file: it says that it holds nothing")
    extents = _EXTENT.findall(beginning)
    if len(extents) != len(_EXTENT_LIKE.findall(beginning)):
        raise SourceError(str(path), "is a damaged vmdk file: its list of files cannot be read")
    for kind, name in extents:
        if kind != _NAMELESS and not _lies_beside(path, name):
            shown = ascii(name.decode(errors="replace"))[:100]
            raise SourceError(
                str(path), f"takes its data from {shown}, which is no vmdk file beside it: convert it with qemu-img"
            )


def _lies_beside(path: Path, name: bytes) -> bool:
    """Whether this is the plain name of a vmdk file in the folder of ``path``, and leads nowhere else."""
    text = name.decode("ascii", errors="replace")
    if "/" in text or ":" in text or not text.isprintable() or not text.lower().endswith(_SUFFIX):
        return False
    extent = path.parent / text
    return extent.is_file() and not extent.is_symlink()

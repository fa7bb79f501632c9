"""One file system of the disk that is captured, mounted read-only to be looked into.

Somebody else wrote it, so it is hostile input: no link in it is followed, what is read of a file or a folder is
bounded, and it is mounted as ``protocol.disk.mounts`` mounts such. The device below is a loop device that cannot be
written, whatever a driver would like.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

from protocol.disk.mounts import mounted
from protocol.disk.partitions import Partition
from protocol.disk.source import Source
from protocol.disk.system_tools import loop_device
from protocol.errors import RefusedError

MAX_READ: Final = 1 << 20
"""[bytes] that are looked at of one file; a seat's configuration files have a few thousand."""

MAX_NAMES: Final = 4096
"""[names] that are looked at in one folder."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Tree:
    """The folders and files of a mounted file system; whatever is a link on the way counts as not there."""

    def __init__(self, root: Path, device: Path | None = None, *, ignores_case: bool = False) -> None:
        self.root = root
        self.device = device
        """the loop device below it"""
        self._ignores_case = ignores_case

    def names(self, folder: str = "") -> list[str]:
        """What lies in a folder, sorted; nothing where there is none."""
        with suppress(OSError):
            descriptor = self._open_folder(_parts(folder))
            try:
                return sorted(_listed(descriptor))
            finally:
                os.close(descriptor)
        return []

    def read(self, path: str) -> bytes | None:
        """The beginning of a regular file, at most MAX_READ bytes; None where there is none."""
        with suppress(OSError):
            descriptor = self.open(path)
            with os.fdopen(descriptor, "rb") as file:
                return file.read(MAX_READ)
        return None

    def open(self, path: str) -> int:
        """A descriptor of a regular file, to be closed by the caller.

        Raises:
            OSError: there is none.
        """
        *folders, name = _parts(path)
        parent = self._open_folder(folders)
        try:
            descriptor = os.open(self._spelling(parent, name), _FILE, dir_fd=parent)
        finally:
            os.close(parent)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(path)
        return descriptor

    def _open_folder(self, parts: list[str]) -> int:
        descriptor = os.open(self.root, _FOLDER)
        for part in parts:
            try:
                inner = os.open(self._spelling(descriptor, part), _FOLDER, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _spelling(self, folder: int, name: str) -> str:
        """The name as the folder has it."""
        if not self._ignores_case:
            return name
        wanted = name.casefold()
        return next((each for each in _listed(folder) if each.casefold() == wanted), name)


@contextmanager
def partition_device(source: Source, partition: Partition) -> Iterator[Path]:
    """A read-only block device of the partition alone.

    Raises:
        PermissionError: only root can make one.
        OSError: no loop device to be had.
    """
    if os.geteuid() != 0:
        raise PermissionError("looking into file systems takes root")
    with loop_device(source.path, partition.offset, partition.length) as device:
        yield device


@contextmanager
def mounted_tree(source: Source, partition: Partition) -> Iterator[Tree]:
    """The file system of a partition, of a kind that is mountable, for as long as this is entered.

    Of btrfs it is the volume that holds all others.

    Raises:
        OSError: it cannot be mounted; the text says why.
        LibraryError: a tool is missing.
    """
    with ExitStack() as stack:
        device = stack.enter_context(partition_device(source, partition))
        try:
            folder = stack.enter_context(mounted(device, partition.filesystem))
        except RefusedError as error:
            raise OSError(str(error)) from error
        yield Tree(folder, device, ignores_case=partition.filesystem == "ntfs")


def _listed(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, MAX_NAMES)]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".", "..")]

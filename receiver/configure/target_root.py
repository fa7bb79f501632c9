"""The root of a system on a disk that somebody else wrote: every path is resolved within it, whatever its links say.

A link to /tmp/outside leads to /tmp/outside of the target, one with .. stops at its root, as the system itself will
read them. Files are written beside and renamed, so that each is there whole or as it was; a link in the place of a file
is replaced, never written through.
"""

import ctypes
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from protocol.disk.in_root import open_in_root
from protocol.errors import DiskError

MAX_READ: Final = 4 << 20
"""[bytes] of a file of the target that is read at once: a line of grub.cfg is changed in 20 KB."""

_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class _Attributes(NamedTuple):
    """What a file has beside its contents."""

    mode: int
    owner: int
    group: int


_libc: Final = ctypes.CDLL(None, use_errno=True)


class TargetRoot:
    """The root at ``folder``; enter it. Paths are relative to it; a leading slash changes nothing.

    Every method raises DiskError where the target does not let it: full, read-only, damaged, or odd.
    """

    def __init__(self, folder: Path, ignore_case: bool = False) -> None:
        self.folder: Final = folder
        self._ignore_case = ignore_case
        self._root = -1

    def __enter__(self) -> Self:
        """Open it."""
        try:
            self._root = os.open(self.folder, _FOLDER)
        except OSError as error:
            raise self._failed("opening", "", error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it go."""
        os.close(self._root)

    # --- looking -----------------------------------------------------------------------------------------------------

    def has(self, path: str) -> bool:
        """Whether there is something, of whatever kind, at the end of its links."""
        try:
            os.close(self._open(self._spelled(path), os.O_PATH))
        except OSError:
            return False
        return True

    def read(self, path: str) -> bytes | None:
        """A file's contents; None where there is none, and of one that is too long or no file."""
        try:
            descriptor = self._open(self._spelled(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
                return None
            raise self._failed("reading", path, error) from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_READ:
                return None
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_READ)
        except OSError as error:
            raise self._failed("reading", path, error) from error
        finally:
            os.close(descriptor)

    def names(self, path: str) -> list[str]:
        """What lies in a folder; nothing where there is none."""
        return sorted(self._listed(self._spelled(path)))

    def real_path(self, path: str) -> Path:
        """Where a folder really lies, for a mount: without any link, and within the root."""
        with self._parent(f"{path}/x", create=True) as (folder, _name):
            real = Path(f"/proc/self/fd/{folder}").readlink()
        if not real.is_relative_to(self.folder.resolve()):
            raise DiskError(path, "opening", "it lies outside of the target")
        return real

    def real_file(self, path: str) -> Path | None:
        """Where a file really lies, without any link and within the root; None where there is none."""
        try:
            descriptor = self._open(self._spelled(path), os.O_PATH)
        except OSError:
            return None
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return Path(f"/proc/self/fd/{descriptor}").readlink() if is_file else None
        finally:
            os.close(descriptor)

    def link_target(self, path: str) -> str:
        """What a symbolic link says; empty where there is none."""
        try:
            with self._parent(path, create=False) as (folder, name):
                return os.readlink(name, dir_fd=folder)
        except (DiskError, OSError):
            return ""

    # --- changing ----------------------------------------------------------------------------------------------------

    def write(
        self, path: str, content: bytes | Path, mode: int | None = None, owner: int | None = None, group: int = 0
    ) -> bool:
        """Put a file, with the folders that lead to it; whether anything changed.

        ``mode`` and ``owner`` None keep those of the file that is there, or make it root's own with 0644.
        """
        with self._parent(path, create=True) as (folder, name):
            there = _file_at(folder, name)
            kept = there or _Attributes(0o644, 0, 0)
            wanted = _Attributes(
                kept.mode if mode is None else mode, *((kept.owner, kept.group) if owner is None else (owner, group))
            )
            is_alike = there == wanted or (self._ignore_case and there is not None)  # NTFS has other attributes
            if is_alike and isinstance(content, bytes) and self.read(path) == content:
                return False
            try:
                _put(folder, name, content, wanted)
            except OSError as error:
                raise self._failed("writing", path, error) from error
            return True

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link; what it says is never followed here."""
        with self._parent(path, create=True) as (folder, name):
            with suppress(OSError):
                if os.readlink(name, dir_fd=folder) == target:
                    return
            part = _part_name(name)
            try:
                os.symlink(target, part, dir_fd=folder)
                os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                raise self._failed("linking", path, error) from error

    def remove(self, path: str) -> bool:
        """Take a file or link away; whether it was there."""
        try:
            with self._parent(path, create=False) as (folder, name):
                os.unlink(name, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._failed("removing", path, error) from error
        return True

    def remove_folder(self, path: str) -> None:
        """Take a folder away with all that is in it; no link in it is followed."""
        try:
            with self._parent(path, create=False) as (folder, name):
                shutil.rmtree(name, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._failed("removing", path, error) from error

    def rename(self, old: str, new: str) -> None:
        """Move a folder or file within the root; nothing may be at ``new`` but a file or an empty folder."""
        with self._parent(old, create=False) as (source, name), self._parent(new, create=True) as (folder, target):
            try:
                os.rename(name, target, src_dir_fd=source, dst_dir_fd=folder)
            except OSError as error:
                raise self._failed("renaming", old, error) from error

    def sync(self) -> None:
        """Let everything reach the disk."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _libc.syncfs(descriptor):
                number = ctypes.get_errno()
                raise self._failed("syncing", "", OSError(number, os.strerror(number)))
        finally:
            os.close(descriptor)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _open(self, path: str, flags: int) -> int:
        try:
            return open_in_root(self._root, path, flags)
        except ValueError as error:  # a zero byte
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path) from error

    @contextmanager
    def _parent(self, path: str, create: bool) -> Iterator[tuple[int, str]]:
        """The folder of a path, open, and the name in it."""
        folder, _, name = self._spelled(path).rpartition("/")
        if name in ("", ".", ".."):
            raise DiskError(path, "opening", "that is no file's name")
        try:
            descriptor = self._folder(folder, create)
        except OSError as error:
            if not create:
                raise
            raise self._failed("opening", path, error) from error
        try:
            yield descriptor, name
        finally:
            os.close(descriptor)

    def _folder(self, path: str, create: bool) -> int:
        """A folder, made with all that lead to it where it is not there."""
        try:
            return self._open(path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            if not create:
                raise
        above, _, name = path.rpartition("/")
        parent = self._folder(above, create)
        try:
            with suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=parent)
        finally:
            os.close(parent)
        return self._open(path, os.O_PATH | os.O_DIRECTORY)

    def _spelled(self, path: str) -> str:
        """A path as the disk spells it, where upper and lower case are the same to its system."""
        wanted = path.strip("/")
        if not self._ignore_case:
            return wanted
        found = ""
        for part in wanted.split("/"):
            names = {name.casefold(): name for name in self._listed(found)}
            found = f"{found}/{names.get(part.casefold(), part)}".lstrip("/")
        return found

    def _listed(self, path: str) -> list[str]:
        try:
            descriptor = self._open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return []
        try:
            with os.scandir(descriptor) as entries:
                return [entry.name for entry in entries]
        finally:
            os.close(descriptor)

    def _failed(self, operation: str, path: str, error: OSError) -> DiskError:
        return DiskError(f"/{path.lstrip('/')}", operation, error.strerror or str(error))


def _put(folder: int, name: str, content: bytes | Path, attributes: _Attributes) -> None:
    part = _part_name(name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(part, flags, 0o600, dir_fd=folder), "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fchown(file.fileno(), attributes.owner, attributes.group)
            os.fchmod(file.fileno(), attributes.mode)
            os.fsync(file.fileno())
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise


def _file_at(folder: int, name: str) -> _Attributes | None:
    """Of what is at a name, if it is a file."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _Attributes(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _part_name(name: str) -> str:
    """Beside the file; short, since the name may be as long as a name can be."""
    return f".{name[:32]}.{secrets.token_hex(4)}.slatecast"

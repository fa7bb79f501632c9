"""The files of a key store: read with suspicion, and changed all together or not at all.

    director.key, image.key, authority.key     private keys in PEM, 0600
    console.key                                the same; nobody is told to trust it, so it belongs to no set
    authority.crt, trust.json                  public
    NAME.new                                   staged for the change that is under way
    lock                                       flock: one process at a time reads or changes the set

A change stages every file and syncs it; ``trust.json.new`` gets its name last, and from then on the change holds: the
next process that takes the lock completes it. Without that file it undoes it. So a crash at any moment leaves the old
set or the new one, and two processes that make keys at once end with one set. Nothing here knows what a key is.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from protocol.errors import ConfigError
from protocol.link.whole_file import sync_folder

DIRECTOR_KEY: Final = "director.key"
IMAGE_KEY: Final = "image.key"
AUTHORITY_KEY: Final = "authority.key"
AUTHORITY_CERTIFICATE: Final = "authority.crt"
TRUST: Final = "trust.json"
KEY_FILES: Final = (DIRECTOR_KEY, IMAGE_KEY, AUTHORITY_KEY, AUTHORITY_CERTIFICATE, TRUST)
"""In the order in which a change puts them in place: the trust, which names all others, comes last."""

CONSOLE_KEY: Final = "console.key"
"""Not one of KEY_FILES: it is made when it is first asked for, and no trust names it."""

_PRIVATE: Final = frozenset({DIRECTOR_KEY, IMAGE_KEY, AUTHORITY_KEY, CONSOLE_KEY})
_LOCK: Final = "lock"
_STAGED: Final = ".new"
_DECISION: Final = TRUST + _STAGED
_UNDECIDED: Final = TRUST + ".part"
_OURS: Final = {_LOCK, _UNDECIDED, *(name + end for name in (*KEY_FILES, CONSOLE_KEY) for end in ("", _STAGED))}
_MAX_LENGTH: Final = 64 * 1024
"""[bytes] of a key file; stops a device or an image that was named by mistake from being read whole."""


class KeyFolder:
    """A folder of key files; holds no file open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def has_keys(self) -> bool:
        """Whether a set of keys was made here; true as well when only the trust of it has been lost."""
        with key_errors(self.path):
            return any((self.path / name).exists() for name in (*KEY_FILES, _DECISION))

    def prepare(self) -> None:
        """Make the folder, for its owner alone.

        Raises:
            ConfigError: it cannot be made, or holds other things than keys.
        """
        with key_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            strange = sorted({entry.name for entry in self.path.iterdir()} - _OURS)
        if strange and not self.has_keys():
            raise ConfigError(f"{self.path} holds other files, {strange[0]!r} for one: give --keys a folder of its own")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one process that uses the folder, with every change in it completed or undone.

        Raises:
            ConfigError: others may write to the folder, or it cannot be used.
        """
        with key_errors(self.path):
            if self.path.stat().st_mode & 0o022:
                raise ConfigError(f"{self.path} can be written by other users: chmod 700 {self.path}")
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with key_errors(self.path):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._recover()
            yield
        finally:
            os.close(descriptor)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, None if it is not there. Needs ``locked``.

        Raises:
            ConfigError: as ``read_key_file``.
        """
        return read_key_file(self.path / name, is_private=name in _PRIVATE)

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Put these files in the place of those of the same names; the trust must be among them. Needs ``locked``.

        Raises:
            ConfigError: the folder cannot be written; the next ``locked`` finds all as it was, or all replaced.
        """
        with key_errors(self.path):
            for name in KEY_FILES:
                if name in files and name != TRUST:
                    _write(self.path / (name + _STAGED), files[name], 0o600 if name in _PRIVATE else 0o644)
            _write(self.path / _UNDECIDED, files[TRUST], 0o644)
            sync_folder(self.path)
            (self.path / _UNDECIDED).rename(self.path / _DECISION)
            sync_folder(self.path)
            self._complete()

    def add_alone(self, name: str, data: bytes) -> None:
        """Put a file there that belongs to no set. Needs ``locked``.

        Raises:
            ConfigError: the folder cannot be written.
        """
        staged = self.path / (name + _STAGED)
        with key_errors(self.path):
            staged.unlink(missing_ok=True)
            _write(staged, data, 0o600 if name in _PRIVATE else 0o644)
            staged.rename(self.path / name)
            sync_folder(self.path)

    def _recover(self) -> None:
        if (self.path / _DECISION).exists():
            self._complete()
            return
        for name in (*KEY_FILES, _UNDECIDED):
            (self.path / (name if name == _UNDECIDED else name + _STAGED)).unlink(missing_ok=True)

    def _complete(self) -> None:
        for name in KEY_FILES:
            if name == TRUST:
                sync_folder(self.path)
            if (self.path / (name + _STAGED)).exists():
                (self.path / (name + _STAGED)).rename(self.path / name)
        sync_folder(self.path)


def read_key_file(path: Path, *, is_private: bool) -> bytes | None:
    """The bytes of a key file of any origin, None if it is not there.

    Raises:
        ConfigError: no plain file, too long for a key, or private and readable by other users.
    """
    with key_errors(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
        except FileNotFoundError:
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{path} is no key: it is no plain file")
            if is_private and status.st_mode & 0o077:
                raise ConfigError(
                    f"{path} can be read by other users: chmod 600 it (mount a stick without permissions with "
                    "umask=077), and replace the key if somebody may have read it"
                )
            with os.fdopen(os.dup(descriptor), "rb") as file:
                data = file.read(_MAX_LENGTH + 1)
        finally:
            os.close(descriptor)
    if len(data) > _MAX_LENGTH:
        raise ConfigError(f"{path} is no key: it is longer than {_MAX_LENGTH} bytes")
    return data


@contextmanager
def key_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about key files into a ConfigError."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"keys at {path}: {error.strerror or error}") from error


def _write(path: Path, data: bytes, mode: int) -> None:
    """A new file with its mode from the first moment, on the medium when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)

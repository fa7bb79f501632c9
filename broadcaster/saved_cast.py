"""The state of a running cast on disk, so that a broadcaster that is killed at any moment resumes the session.

    casts/TSI.cast        a line with the BLAKE3 of the rest, then JSON; mode 0600 for the session secret
    casts/TSI.lock        flock held by the process whose cast it is: it dies with the process, by whatever signal
    casts/TSI.cast.part   the next state on its way; casts/TSI.cast.unusable: a state that could not be read

Invariant: a ``.cast`` file is a complete state, the old one or the new one, and one process at most takes it up. A cast
never fails for lack of it: what the operating system refuses is told in one line, and the session goes on without.
Saving blocks for two fsyncs; call it from a thread. Wall-clock time decides only what is too old to be of use.
"""

import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec

from protocol.digests import raw_digest
from protocol.fields import Count, Digest, LongText, ReceiverId, ShortText, Tsi
from protocol.link.whole_file import sync_folder
from protocol.messages import ReceiverReport, SignedCertificate

FORMAT: Final = 1
"""Version of ``SavedCast``; a state of another one is put aside, never converted."""

CASTS_FOLDER: Final = "casts"
"""Name of the folder in the library."""

LONGEST_KEPT: Final = 24 * 3600.0
"""[s] chosen: a room is not kept waiting for a day; an older cast is better begun anew."""

MAX_STATE_LENGTH: Final = 16 << 20
"""[bytes] 3072 seats with full reports and certificates are 9 MiB; stops a file of any other origin from filling the
memory."""

_STATE: Final = ".cast"
_LOCK: Final = ".lock"
_PART: Final = ".cast.part"
_UNUSABLE: Final = ".cast.unusable"

_logger = logging.getLogger(__name__)

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class _Version(msgspec.Struct):
    """What every format has, read before the rest."""

    format: int


class SavedCast(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a session needs to go on after its broadcaster was killed."""

    format: int = FORMAT
    tsi: Tsi
    session_secret: Digest
    """32 bytes from which the datagram keys are derived; the reason for the file's mode"""
    image_name: ShortText
    image_version: Count
    manifest_digest: Digest
    group: ShortText
    """multicast address"""
    port: Port
    interface_name: ShortText
    use_ipv6: bool
    broker_host: ShortText | None = None
    """address that the embedded broker listens on; None when the cast uses another broker"""
    broker_port: Port | None = None
    catch_up_port: Port | None = None
    """TCP port of the catch-up lane, None without one"""
    generation: Count = 0
    """how often the session was taken up again"""
    expected_seats: Count
    elapsed_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """that the session has run, this run and earlier ones together"""
    bytes_on_wire: Count = 0
    datagrams_sent: Count = 0
    repair_datagrams: Count = 0
    catch_up_bytes: Count = 0
    reports: tuple[ReceiverReport, ...] = ()
    """the last of each receiver"""
    certificates: tuple[SignedCertificate, ...] = ()
    """of the seats that are done, checked"""
    demotion_reasons: dict[ReceiverId, LongText] = {}
    """why a receiver is on the catch-up lane"""
    is_released: bool = True
    """seats may write; False while the session is only planned"""
    is_paused: bool = False
    dismissed: tuple[ReceiverId, ...] = ()
    """receivers that the operator has stopped"""
    dismissed_machines: tuple[ShortText, ...] = ()
    """that get no ticket any more"""
    moved: tuple[ReceiverId, ...] = ()
    """receivers that the operator has moved to the catch-up lane"""
    hosting: bytes = b""
    """what the host of this session needs to take it up again, as the host alone reads it; empty for a single cast"""


class OpenCast:
    """A cast that belongs to this process until it is finished or closed, and its state on disk.

    Made by ``CastStore``; ``lock`` is the descriptor that holds the flock, None for a cast that cannot be kept.
    """

    def __init__(self, folder: Path, saved: SavedCast, lock: int | None, *, is_kept: bool) -> None:
        self.saved = saved
        """the newest state that is on disk; while there is none, the first one"""
        self.is_kept = is_kept
        """whether there is a state on disk to resume from"""
        self._folder = folder
        self._lock = lock
        self._is_warned = False

    def save(self, saved: SavedCast) -> bool:
        """Replace the state on disk, whole or not at all; False when the old one had to stay. Blocks for two fsyncs.

        The first refusal of the operating system is logged, later ones are not: this is called every second.
        """
        if self._lock is None:
            return False
        try:
            _replace(self._folder, saved)
        except OSError as error:
            self.warn(error)
            return False
        self.saved = saved
        self.is_kept = True
        return True

    def warn(self, error: OSError) -> None:
        """Tell the operator, once, what resuming is worth now."""
        if not self._is_warned:
            self._is_warned = True
            worth = "resumes from an older state" if self.is_kept else "cannot resume it"
            _logger.warning("the cast goes on, but a restart %s: %s: %s", worth, self._folder, error.strerror or error)

    def finish(self) -> None:
        """Forget the cast: it has ended, there is nothing to resume."""
        if self._lock is not None:
            _forget(self._folder, self.saved.tsi)
            self.close()

    def close(self) -> None:
        """Let go of the cast and leave its state for the next process that looks for it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class CastStore:
    """The kept casts in ``folder``, which is made when it is needed. Every method blocks on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, manifest_digest: bytes, interface_name: str) -> OpenCast | None:
        """The newest unfinished cast of this image on this interface whose process is gone; from now on it is ours.

        Sessions of a host are not among them: ``find_hosted`` gives those. What is too old is removed on the way; what
        is no state of this version is put aside with one line.
        """
        for cast in self._abandoned():
            saved = cast.saved
            if not saved.hosting and (saved.manifest_digest, saved.interface_name) == (manifest_digest, interface_name):
                return cast
            cast.close()
        return None

    def find_hosted(self) -> list[OpenCast]:
        """All unfinished sessions of a host whose process is gone, the newest first; from now on they are ours."""
        hosted = []
        for cast in self._abandoned():
            if cast.saved.hosting:
                hosted.append(cast)
            else:
                cast.close()
        return hosted

    def _abandoned(self) -> Iterator[OpenCast]:
        """The casts whose process is gone, taken up one by one, the newest first."""
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return
        except OSError as error:
            _logger.warning("no interrupted cast can be looked for: %s: %s", self._folder, error.strerror or error)
            return
        _remove_litter(self._folder, names)
        for name in _newest_first(self._folder, (name for name in names if name.endswith(_STATE))):
            cast = self._take_up(name)
            if cast is not None:
                yield cast

    def create(self, saved: SavedCast) -> OpenCast:
        """Keep a new cast; where that cannot be, say so in one line and return one that keeps nothing."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)  # never the library around it: that would be an empty one
            lock = _lock(self._folder / f"{saved.tsi}{_LOCK}")
        except OSError as error:
            cast = OpenCast(self._folder, saved, None, is_kept=False)
            cast.warn(error)
            return cast
        cast = OpenCast(self._folder, saved, lock, is_kept=False)
        cast.save(saved)
        return cast

    def _take_up(self, name: str) -> OpenCast | None:
        """The cast in this file, unless another process has it, it is too old or it cannot be read."""
        path = self._folder / name
        tsi = name.removesuffix(_STATE)
        try:
            lock = _lock(self._folder / f"{tsi}{_LOCK}")
        except BlockingIOError:
            return None
        except OSError as error:
            _logger.warning("%s cannot be resumed: %s", path, error.strerror or error)
            return None
        try:
            if _is_too_old(path):
                _logger.info("%s is too old to be resumed, removed", path)
            else:
                return OpenCast(self._folder, _read(path, tsi), lock, is_kept=True)
        except FileNotFoundError:  # its process finished it while we waited for nothing
            pass
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            _logger.warning("%s cannot be resumed (%s), put aside", path, reason)
            with suppress(OSError):
                path.replace(self._folder / f"{tsi}{_UNUSABLE}")
        _forget(self._folder, tsi)
        os.close(lock)
        return None


def _lock(path: Path) -> int:
    """A descriptor that holds the exclusive lock; BlockingIOError when another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _replace(folder: Path, saved: SavedCast) -> None:
    """Put a state in the place of the last one; at any moment the file is one of the two, whole."""
    part = folder / f"{saved.tsi}{_PART}"
    encoded = msgspec.json.encode(saved)
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw_digest(encoded).hex().encode() + b"\n" + encoded)
            file.flush()
            os.fsync(descriptor)
        part.replace(folder / f"{saved.tsi}{_STATE}")
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)  # half a state would only fill a full disk further
        raise
    sync_folder(folder)


def _read(path: Path, tsi: str) -> SavedCast:
    """The state in a file of any origin; ValueError says what is wrong with it."""
    # A named pipe would block the open, and a link could lead anywhere.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("not a file")
    with os.fdopen(descriptor, "rb") as file:
        digest, _, encoded = file.read(MAX_STATE_LENGTH).partition(b"\n")
    if digest != raw_digest(encoded).hex().encode():
        raise ValueError("damaged or not written by slatecast")
    try:
        version = msgspec.json.decode(encoded, type=_Version).format
        if version != FORMAT:
            raise ValueError(f"of format {version}, this slatecast reads {FORMAT}")
        saved = msgspec.json.decode(encoded, type=SavedCast)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a state of this slatecast: {error}") from None
    if saved.tsi != tsi:
        raise ValueError("the state of another session")
    return saved


def _forget(folder: Path, tsi: str) -> None:
    # The lock goes last: whoever takes it next must find no state, since a session number is never used again.
    for suffix in (_STATE, _PART, _LOCK):
        with suppress(OSError):
            (folder / f"{tsi}{suffix}").unlink(missing_ok=True)


def _newest_first(folder: Path, names: Iterable[str]) -> list[str]:
    def age(name: str) -> float:
        with suppress(OSError):
            return -(folder / name).lstat().st_mtime
        return 0.0

    return sorted(names, key=age)


def _remove_litter(folder: Path, names: list[str]) -> None:
    """Remove what processes that were killed between two steps left behind, when it is too old to be anybody's."""
    for name in names:
        path = folder / name
        is_litter = name.endswith((_PART, _UNUSABLE)) or (
            name.endswith(_LOCK) and f"{name.removesuffix(_LOCK)}{_STATE}" not in names
        )
        with suppress(OSError):
            if is_litter and _is_too_old(path):
                path.unlink()


def _is_too_old(path: Path) -> bool:
    """By the wall clock, which may have jumped: a state from the future is as good as a fresh one."""
    return time.time() - path.lstat().st_mtime > LONGEST_KEPT

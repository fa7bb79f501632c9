"""The audit log: who had which disks overwritten, when and with what; append-only, hash-chained and signed.

    audit.jsonl    one AuditEntry a line in canonical JSON; mode 0600

Each entry names the SHA-256 of the line before it and is signed by the director, so that nothing can be altered,
removed or put in between without the director key; that the end was cut off shows against the head in a report.
Nothing that was written is ever changed: a line that a power cut left half-written stays, and the next entry says so.
Whatever this log cannot take is the caller's to tell; no disk is safer or less safe for it. Every call blocks on a lock
and the disk. ``audit_check`` reads the log.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from protocol.errors import LibraryError, SessionStateError
from protocol.fields import Key, Signature, printable
from protocol.link.whole_file import sync_folder
from protocol.signing import Purpose, SigningKey

AUDIT_FILE: Final = "audit.jsonl"
"""Name of the log in the library."""

LOCK_PATIENCE: Final = 5.0
"""[s] An entry takes two milliseconds on an SSD; who holds the lock for longer has been stopped."""

_LOCK_POLL: Final = 0.01
"""[s] Chosen: flock can wait for ever or not at all."""

MAX_FIELDS: Final = 16
MAX_TEXT: Final = 400
"""[characters] of one value; receivers and file names have their say in them."""

MAX_ENTRY_LENGTH: Final = 32 * 1024
"""[bytes] 16 fields of 400 characters, four bytes each, with their names; stops a file that is no log of ours from
filling the memory."""

_WINDOW: Final = 4 * MAX_ENTRY_LENGTH
"""[bytes] of the end of the log that an append looks at: the last entry, and what a power cut left behind it."""

BEFORE_THE_FIRST: Final = "0" * 64
"""What the first entry says of the line before it."""


class AuditEvent(StrEnum):
    """What is written down."""

    CAST_STARTED = "cast started"
    RECEIVER_ADMITTED = "receiver admitted"
    ORDER_GIVEN = "order given"
    SEAT_ENDED = "seat ended"
    CAST_ENDED = "cast ended"
    CAPTURE_ORDERED = "capture ordered"
    CAPTURE_ENDED = "capture ended"
    """without an image"""
    IMAGE_ADDED = "image added"
    IMAGE_SIGNED = "image signed"
    IMAGE_REMOVED = "image removed"
    KEYS_ROTATED = "keys rotated"
    TORN_LINE = "torn line"
    """the bytes before this entry are half a line that was never finished"""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the log."""

    number: Annotated[int, msgspec.Meta(ge=1)]
    """counts from 1"""
    time: Annotated[str, msgspec.Meta(max_length=32)]
    """UTC, ISO 8601, by the broadcaster's clock: told, never relied on"""
    previous: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    """SHA-256 of the line before, in hex digits"""
    event: Annotated[str, msgspec.Meta(max_length=64)]
    fields: dict[str, str | int]
    director: Key
    """Ed25519 key that signs this entry"""
    signature: Signature
    """over the same JSON with an empty signature, for Purpose.AUDIT"""


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(AuditEntry)


def encode_entry(entry: AuditEntry) -> bytes:
    """The one line that such an entry is, without its line feed."""
    return _ENCODER.encode(entry)


def signed_bytes(entry: AuditEntry) -> bytes:
    """What the director signs of it."""
    return _ENCODER.encode(msgspec.structs.replace(entry, signature=b""))


def decode_entry(line: bytes) -> AuditEntry | None:
    """The entry in a line of any origin; None when it is none, or not written as we write them."""
    try:
        entry = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return entry if _ENCODER.encode(entry) == line else None


def line_digest(line: bytes) -> str:
    """What the next entry, or a report, says of a line."""
    return hashlib.sha256(line).hexdigest()


def open_log(path: Path, flags: int) -> int:
    """A descriptor of a log that is a plain file. Raises OSError."""
    # A named pipe would block the open, and a link could lead anywhere.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a file")
    return descriptor


def lock_log(descriptor: int, kind: int, patience: float = LOCK_PATIENCE) -> None:
    """Hold the lock of this kind until the descriptor is closed. Raises OSError after ``patience`` seconds."""
    for attempt in Retrying(
        retry=retry_if_exception_type(BlockingIOError),
        stop=stop_after_delay(patience),
        wait=wait_fixed(_LOCK_POLL),
        reraise=True,
    ):
        with attempt:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)


class AuditLog:
    """The log at ``path``, to which one director writes; made when it is needed. Any number of processes at once."""

    def __init__(self, path: Path, director: SigningKey) -> None:
        self.path: Final = path
        self._director = director

    def append(
        self, event: AuditEvent, fields: Mapping[str, str | int], now: datetime, *, patience: float = LOCK_PATIENCE
    ) -> str:
        """Write one entry, on the medium when this returns; the head, which is what the next entry says of it.

        Args:
            event: what happened.
            fields: at most MAX_FIELDS; texts of any origin, cut and made printable here.
            now: when, with its time zone.
            patience: seconds to wait for whoever writes at the moment.

        Raises:
            LibraryError: the entry is not in the log; the text says why, in one line.
            SessionStateError: too many fields, or a time without its zone.
        """
        if len(fields) > MAX_FIELDS or now.tzinfo is None:
            raise SessionStateError("an audit entry with too many fields, or with a time of no zone")
        try:
            with self._locked(patience) as descriptor:
                return self._append(descriptor, event, fields, now)
        except OSError as error:
            reason = "another program holds it" if isinstance(error, BlockingIOError) else error.strerror or error
            raise LibraryError(f"the audit log {self.path} lacks '{event}': {reason}") from error

    def _append(self, descriptor: int, event: AuditEvent, fields: Mapping[str, str | int], now: datetime) -> str:
        end = _read_end(descriptor)
        number, head = end.number, end.head
        written = b"" if end.is_ended else b"\n"
        entries: list[tuple[AuditEvent, Mapping[str, str | int]]] = [(event, fields)]
        if end.torn:
            torn: dict[str, str | int] = {
                "bytes": len(end.torn),
                "sha256": line_digest(end.torn),
                "ended": int(end.is_ended),
            }
            entries.insert(0, (AuditEvent.TORN_LINE, torn))
        for each, its_fields in entries:
            number += 1
            line = encode_entry(self._signed(number, head, each, its_fields, now))
            head = line_digest(line)
            written += line + b"\n"
        size = os.fstat(descriptor).st_size
        _write_whole(descriptor, written, size)
        os.fsync(descriptor)
        if size == 0:
            sync_folder(self.path.parent)
        return head

    def _signed(
        self, number: int, previous: str, event: AuditEvent, fields: Mapping[str, str | int], now: datetime
    ) -> AuditEntry:
        entry = AuditEntry(
            number=number,
            time=now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            previous=previous,
            event=event.value,
            fields={name: _one_line(value) if isinstance(value, str) else value for name, value in fields.items()},
            director=self._director.public,
            signature=b"",
        )
        signature = self._director.sign(Purpose.AUDIT, signed_bytes(entry))
        return msgspec.structs.replace(entry, signature=signature)

    @contextmanager
    def _locked(self, patience: float) -> Iterator[int]:
        descriptor = open_log(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            lock_log(descriptor, fcntl.LOCK_EX, patience)
            yield descriptor
        finally:
            os.close(descriptor)


class _End(NamedTuple):
    """Where the log ends."""

    number: int
    """of the last entry, 0 without one"""
    head: str
    torn: bytes
    """what stands behind the last entry and is none"""
    is_ended: bool
    """the last line has its line feed"""


def _read_end(descriptor: int) -> _End:
    size = os.fstat(descriptor).st_size
    if size == 0:
        return _End(0, BEFORE_THE_FIRST, b"", is_ended=True)
    window = os.pread(descriptor, _WINDOW, max(0, size - _WINDOW))
    is_ended = window.endswith(b"\n")
    lines = window.removesuffix(b"\n").split(b"\n")
    for index in range(len(lines) - 1, -1, -1):
        entry = decode_entry(lines[index])
        if entry is not None:
            return _End(entry.number, line_digest(lines[index]), b"\n".join(lines[index + 1 :]), is_ended=is_ended)
    if size > _WINDOW:
        raise OSError(0, "its end is no audit log; move it away and look at it with 'slatecast audit verify'")
    return _End(0, BEFORE_THE_FIRST, window.removesuffix(b"\n"), is_ended=is_ended)


def _write_whole(descriptor: int, written: bytes, size: int) -> None:
    """All or, as far as the operating system lets us, nothing: half a line of ours helps nobody."""
    try:
        while written:
            written = written[os.write(descriptor, written) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _one_line(text: str) -> str:
    """Receivers, images and users name themselves; a log is read on a terminal, line by line."""
    encodable = text.encode(errors="backslashreplace").decode()[:MAX_TEXT]
    return printable(encodable)

"""Reads the audit log and says whether anything in it was altered, removed, moved or put in; takes any bytes.

The log is read once, line by line, so its size does not matter. One that grows meanwhile is judged as it was at the
beginning. Only a cut off end looks whole by itself: the head that a report carries gives it away.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from broadcaster.audit import (
    BEFORE_THE_FIRST,
    MAX_ENTRY_LENGTH,
    AuditEntry,
    AuditEvent,
    decode_entry,
    line_digest,
    lock_log,
    open_log,
    signed_bytes,
)
from protocol import signing
from protocol.errors import ConfigError, SignatureError
from protocol.signing import Purpose

MAX_FAULTS: Final = 20
"""[faults] told one by one; a log with more of them is not repaired by reading on."""


@dataclass(slots=True)
class AuditVerdict:
    """What a log is worth."""

    entries: int = 0
    """that could be read, whatever is wrong with them"""
    head: str = BEFORE_THE_FIRST
    """SHA-256 of the last entry's line, in hex digits"""
    faults: list[str] = field(default_factory=list)
    """what cannot be in a log that only its director wrote, one line each"""
    fault_count: int = 0
    notes: list[str] = field(default_factory=list)
    """what is no fault but worth knowing, one line each"""

    @property
    def is_good(self) -> bool:
        """Whether all entries are there as the director wrote them, as far as the log itself can tell."""
        return self.fault_count == 0

    def find(self, fault: str) -> None:
        """Note one fault more."""
        self.fault_count += 1
        if self.fault_count <= MAX_FAULTS:
            self.faults.append(fault)


def read_entries(path: Path) -> Iterator[AuditEntry]:
    """The entries in order, whatever they are worth; what is none is left out.

    Raises:
        ConfigError: there is no log, or it cannot be read.
    """
    for line, _ in _lines(path):
        entry = decode_entry(line)
        if entry is not None:
            yield entry


def verify_audit(path: Path, is_director: Callable[[bytes], bool], head: str | None = None) -> AuditVerdict:
    """Judge the whole log.

    Args:
        path: of the log.
        is_director: whether entries that this Ed25519 key signs count.
        head: SHA-256 in hex digits of an entry that must be in the log, such as a report names; None when unknown.

    Raises:
        ConfigError: there is no log, or it cannot be read.
    """
    check = _Check(is_director, head)
    for line, is_ended in _lines(path):
        check.take(line, is_ended=is_ended)
    return check.finish()


class _Check:
    """Follows the chain."""

    def __init__(self, is_director: Callable[[bytes], bool], head: str | None) -> None:
        self.verdict = AuditVerdict()
        self._is_director = is_director
        self._known: dict[bytes, bool] = {}
        self._head = head
        self._number = 0
        self._garbage = _Garbage()

    def take(self, line: bytes, *, is_ended: bool) -> None:
        entry = decode_entry(line)
        if entry is None:
            self._garbage.add(line, is_ended=is_ended)
            return
        self._judge_garbage(entry)
        self._judge_place(entry)
        self._judge_signature(entry)
        self._number = entry.number
        self.verdict.entries += 1
        self.verdict.head = line_digest(line)
        if self.verdict.head == self._head:
            self._head = None

    def finish(self) -> AuditVerdict:
        if self._garbage and self._garbage.is_half_a_line:
            self.verdict.notes.append(
                f"after entry {self._number} there are {self._garbage.length} bytes of an entry that was not finished"
            )
        elif self._garbage:
            self.verdict.find(f"what follows entry {self._number} is no entry: it was altered or destroyed")
        if self._head is not None:
            self.verdict.find(
                f"the entry {self._head[:16]}... is not in the log: its end was cut off, or it is another log"
            )
        hidden = self.verdict.fault_count - len(self.verdict.faults)
        if hidden:
            self.verdict.faults.append(f"and {hidden} more")
        return self.verdict

    def _judge_garbage(self, entry: AuditEntry) -> None:
        """A half-written line is what a power cut leaves, and the entry after it names it; anything else is not."""
        garbage, self._garbage = self._garbage, _Garbage()
        is_told = entry.event == AuditEvent.TORN_LINE and entry.fields == {
            "bytes": garbage.length,
            "sha256": garbage.digest,
            "ended": 0,
        }
        if garbage and is_told and garbage.is_one_line:
            self.verdict.notes.append(
                f"before entry {entry.number} there are {garbage.length} bytes of an entry that was not finished"
            )
        elif garbage:
            self.verdict.find(f"what stands before entry {entry.number} is no entry: it was altered or destroyed")
        elif entry.event == AuditEvent.TORN_LINE:
            self.verdict.find(f"the half-written line that entry {entry.number} tells of was removed")

    def _judge_place(self, entry: AuditEntry) -> None:
        expected = self._number + 1
        if entry.number > expected:
            missing = (
                f"entry {expected} is"
                if entry.number == expected + 1
                else f"entries {expected} to {entry.number - 1} are"
            )
            self.verdict.find(f"{missing} missing")
        elif entry.number < expected:
            self.verdict.find(f"entry {entry.number} stands after entry {self._number}: repeated, reordered or put in")
        elif entry.previous != self.verdict.head:
            self.verdict.find(f"entry {entry.number} does not follow the entry before it: one of them was altered")

    def _judge_signature(self, entry: AuditEntry) -> None:
        if entry.director not in self._known:
            self._known[entry.director] = is_known = self._is_director(entry.director)
            if not is_known:
                name = signing.fingerprint(entry.director).hex()
                self.verdict.find(f"entry {entry.number} is signed by {name}, which is no director key of this trust")
        try:
            signing.verify(entry.director, Purpose.AUDIT, signed_bytes(entry), entry.signature)
        except SignatureError:
            self.verdict.find(f"entry {entry.number} was altered: its signature does not match")


class _Garbage:
    """Bytes between two entries; hashed, since nothing bounds them."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._lines_ended = 0
        self._is_ended = False
        self.length = 0

    def add(self, line: bytes, *, is_ended: bool) -> None:
        if self._is_ended:
            self._hash.update(b"\n")
            self.length += 1
        self._hash.update(line)
        self.length += len(line)
        self._lines_ended += is_ended
        self._is_ended = is_ended

    def __bool__(self) -> bool:
        return self.length > 0 or self._lines_ended > 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    @property
    def is_one_line(self) -> bool:
        return self._lines_ended == 1

    @property
    def is_half_a_line(self) -> bool:
        return self._lines_ended == 0


def _lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Lines without their line feed, and whether they had one; a line that is too long comes in parts."""
    try:
        descriptor = open_log(path, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as file:
            # Under the lock no line is half written by a living process; the log only grows, so that the rest may wait.
            lock_log(descriptor, fcntl.LOCK_SH)
            left = os.fstat(descriptor).st_size
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            while left > 0 and (line := file.readline(min(left, MAX_ENTRY_LENGTH + 1))):
                left -= len(line)
                yield line.removesuffix(b"\n"), line.endswith(b"\n")
    except OSError as error:
        reason = "there is none" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise ConfigError(f"the audit log {path} cannot be read: {reason}") from error

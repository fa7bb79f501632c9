"""Every exception of slatecast.

    SlatecastError
    +-- ConfigError            the operator asked for something that cannot be
    +-- RefusedError           a check failed before anything was written
    |   +-- TargetError        the disk is not one that may be overwritten with this image
    |   +-- SourceError        the image source cannot be read as a disk
    |   +-- LibraryError       the library or an image in it is not usable
    +-- WireError              a peer's malformed datagram: count and drop
    +-- MessageError           a peer's malformed MQTT payload: count and drop
    +-- ManifestError          bytes that are no manifest
    +-- SealError              a datagram or sealed box whose authentication tag does not match
    +-- SignatureError         something that the key in question did not sign
    +-- TicketError            a wipe ticket that is not for us, not now, or not from our director
    +-- DecodeError            too few or contradictory encoding symbols for a block
    +-- IntegrityError         bytes do not have the digest that the manifest promises
    +-- DiskError              the disk failed during or after the first write
    +-- TransportError         the network or the broker cannot be used
    +-- SessionStateError      our own misuse of a session object (a bug, never a peer's fault)

Peer faults and our own faults never share a class. Values are attributes; the text is made here.
Only ``slatecast.__main__`` turns a class into an exit code.
"""

from typing import Final

_LONGEST_TEXT: Final = 400
"""[characters] of an error that quotes a peer: as long as a reason in a report may be"""


class SlatecastError(Exception):
    """Base of all errors that slatecast raises on purpose; its text is one line for the operator."""


class ConfigError(SlatecastError):
    """The operator asked for something that cannot be; the text says what to write instead."""


class RefusedError(SlatecastError):
    """A check failed before anything was written."""


class TargetError(RefusedError):
    """The target disk may not be overwritten with this image."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(f"{target}: {reason}")
        self.target = target
        self.reason = reason


class SourceError(RefusedError):
    """The source cannot be read as a disk image."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class LibraryError(RefusedError):
    """The library, or an image in it, is not usable."""


class WireError(SlatecastError):
    """A datagram that is not one of ours, or is malformed."""


class MessageError(SlatecastError):
    """What a peer said does not follow docs/protocol.md; what the text quotes of it does nothing to a terminal."""

    def __init__(self, text: str) -> None:
        super().__init__(_printable(text))


class ManifestError(SlatecastError):
    """Bytes that are not a manifest, or one that contradicts itself."""

    def __init__(self, text: str) -> None:
        super().__init__(_printable(text))


class SealError(SlatecastError):
    """A datagram or sealed box whose authentication tag does not match its bytes."""


class SignatureError(SlatecastError):
    """Bytes that the key in question did not sign for this purpose."""


class TicketError(SlatecastError):
    """A wipe ticket that this receiver must not act on; the text says why."""


class DecodeError(SlatecastError):
    """A source block cannot be rebuilt from the encoding symbols at hand."""


class IntegrityError(SlatecastError):
    """Bytes do not have the digest that the manifest promises."""

    def __init__(self, what: str, expected: bytes, actual: bytes) -> None:
        super().__init__(f"{what}: expected digest {expected.hex()[:16]}, found {actual.hex()[:16] or 'nothing'}")
        self.what = what
        self.expected = expected
        self.actual = actual


class DiskError(SlatecastError):
    """Reading, writing or syncing the target failed; the disk is left marked incomplete."""

    def __init__(self, target: str, operation: str, reason: str, offset: int | None = None) -> None:
        where = "" if offset is None else f" at byte {offset} (sector {offset // 512})"
        super().__init__(f"{target}: {operation}{where} failed: {reason}")
        self.target = target
        self.operation = operation
        self.reason = reason
        self.offset = offset


class TransportError(SlatecastError):
    """The network interface, the group or the broker cannot be used."""


class SessionStateError(SlatecastError):
    """A session object was used against its contract: a bug of ours."""


def _printable(text: str) -> str:
    """One line without control sequences, and not without end, whoever wrote the bytes that it quotes."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:_LONGEST_TEXT])

"""What a part of the service says to its supervisor: one line of JSON each, on its standard output.

The part takes that descriptor for itself: whatever a library prints goes to standard error.
"""

import os
import sys
from typing import Any, Final

import msgspec

from protocol.errors import ConfigError, RefusedError, SlatecastError, TransportError

_KINDS: Final[tuple[type[SlatecastError], ...]] = (ConfigError, RefusedError, TransportError)
"""of errors that come out of a part as what they are; each has an exit code of its own"""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """It does its work."""

    where: str = ""
    """people find it at"""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It cannot go on, and says why in a line."""

    kind: str
    text: str

    @classmethod
    def of(cls, error: SlatecastError) -> "Failed":
        """What a supervisor is told of an error."""
        kind = next((kind for kind in _KINDS if isinstance(error, kind)), SlatecastError)
        return cls(kind.__name__, str(error))

    def error(self) -> SlatecastError:
        """The same, to be raised."""
        kind = next((kind for kind in _KINDS if kind.__name__ == self.kind), SlatecastError)
        return kind(self.text)


Status = Ready | Failed

_DECODER: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(Status)


def encode_status(status: Status) -> bytes:
    """One line."""
    return msgspec.json.encode(status) + b"\n"


def decode_status(line: bytes) -> Status | None:
    """What a line says; None for one that says nothing."""
    try:
        status: Status = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return status


class StatusLine:
    """The part's end of it."""

    def __init__(self) -> None:
        """Takes standard output away from everybody else."""
        sys.stdout.flush()
        self._descriptor = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(self, status: Status) -> None:
        """Say it at once; nobody may be there to hear it any more."""
        try:
            os.write(self._descriptor, encode_status(status))
        except BrokenPipeError:
            return

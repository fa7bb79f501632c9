"""The broadcasters that a person at this machine has confirmed: a small file, so that words are compared only once.

It holds public keys only, but whoever could write it could have this machine's disk overwritten, so it is its owner's
alone. A machine that boots from the network has no such file; there a token or --trust does the same.
"""

import os
from pathlib import Path
from typing import Annotated, Final

import msgspec

from protocol.errors import ConfigError, MessageError
from protocol.link.whole_file import replace_whole
from protocol.trust import Trust, decode_trust, encode_trust, follows

MAX_KNOWN: Final = 32
"""[broadcasters] remembered; the one confirmed the longest ago is forgotten first."""

MAX_FILE_LENGTH: Final = 1 << 20
"""[bytes] 32 of the longest trusts"""

_FILE_NAME: Final = "known-broadcasters.json"
_PRIVATE: Final = 0o600
_WRITABLE_BY_OTHERS: Final = 0o022


class _Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    trusts: Annotated[tuple[Trust, ...], msgspec.Meta(max_length=MAX_KNOWN)]


_DECODER: Final = msgspec.json.Decoder(_Known)


def default_file() -> Path:
    """Where they are when nobody names a file: in the user's state folder, by the XDG base directory specification."""
    state_home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state_home) if Path(state_home).is_absolute() else Path.home() / ".local" / "state"
    return base / "slatecast" / _FILE_NAME


def load(file: Path) -> tuple[Trust, ...]:
    """The trusts in ``file``, the one confirmed last at the end; none if there is no file.

    Raises:
        ConfigError: it cannot be read, others may write it, or it is damaged; the text says what to do.
    """
    try:
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            encoded = opened.read(MAX_FILE_LENGTH)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}): mend it or remove it") from None
    if os.name == "posix" and (status.st_uid not in {os.geteuid(), 0} or status.st_mode & _WRITABLE_BY_OTHERS):
        raise ConfigError(f"{file} can be written by other users: remove it, and confirm the broadcaster again")
    try:
        return tuple(decode_trust(encode_trust(trust)) for trust in _DECODER.decode(encoded).trusts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MessageError):
        raise ConfigError(f"{file} is damaged: remove it, and confirm the broadcaster again") from None


def remember(file: Path, trust: Trust) -> None:
    """Add ``trust``, in place of those that it follows.

    Raises:
        ConfigError: the file cannot be read or written.
    """
    older = tuple(known for known in load(file) if not follows(trust, known))
    trusts = (*older, trust)[-MAX_KNOWN:]
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_whole(file, msgspec.json.encode(_Known(trusts=trusts)), _PRIVATE)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written ({error.strerror}): mend that, or use --trust FILE") from None

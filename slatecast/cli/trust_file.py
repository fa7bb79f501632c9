"""The public side of a broadcaster's keys as a file: written by 'slatecast keys export-trust', read by receivers."""

import os
from pathlib import Path

from protocol.errors import ConfigError, MessageError
from protocol.trust import MAX_TRUST_LENGTH, Trust, decode_trust, encode_trust


def read_trust(path: Path) -> Trust:
    """The trust in a file that somebody carried here.

    Raises:
        ConfigError: it cannot be read, or is no trust.
    """
    try:
        with path.open("rb") as file:
            encoded = file.read(MAX_TRUST_LENGTH + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return decode_trust(encoded)
    except MessageError as error:
        raise ConfigError(f"{path} is no trust file ({error}): 'slatecast keys export-trust' makes one") from None


def write_trust(path: Path, trust: Trust, *, force: bool) -> None:
    """Write a trust for others to read; a crash or a full stick leaves the old file or the new one.

    Raises:
        ConfigError: the file is there and ``force`` is not given, or it cannot be written.
    """
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already: --force replaces it")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with temporary.open("wb") as file:
                file.write(encode_trust(trust))
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error

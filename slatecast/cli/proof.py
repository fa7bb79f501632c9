"""Whom the commands that check reports and audit logs believe, and how they print texts of any origin."""

from pathlib import Path
from typing import Final

from broadcaster.key_files import TRUST
from protocol.errors import ConfigError
from protocol.trust import Trust
from slatecast.cli.trust_file import read_trust

EXIT_MISMATCH: Final = 5
"""What was checked is not what was signed: an integrity failure, as slatecast.__main__ lists it."""


def believed_trust(trust_file: Path | None, keys: Path) -> Trust:
    """The trust in ``trust_file``, else that of the keys in the folder ``keys``.

    Raises:
        ConfigError: there is no such trust.
    """
    if trust_file is None and not (keys / TRUST).exists():
        raise ConfigError(
            f"no keys in {keys} to check against; name the trust file of the broadcaster with --trust "
            "('slatecast keys export-trust' makes one there)"
        )
    return read_trust(trust_file or keys / TRUST)


def one_line(text: str) -> str:
    """The text with all that could disturb a terminal escaped."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)

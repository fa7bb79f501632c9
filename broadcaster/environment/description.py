"""environment.json: what an environment consists of, for who serves it and for who asks what a seat has started.

Raises nothing but ConfigError for a folder that is none.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from protocol.errors import ConfigError

DESCRIPTION: Final = "environment.json"
KERNEL: Final = "vmlinuz"
INITRD: Final = "initrd.img"
LOADER_FILES: Final = ("undionly.kpxe", "ipxe.efi", "shimx64.efi", "grubx64.efi")
FILES: Final = (KERNEL, INITRD, *LOADER_FILES)
MAX_DESCRIPTION_LENGTH: Final = 1 << 20
"""[bytes] A real one has 15 KiB; what is longer was not written by us."""


class FileFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the folder."""

    size: int
    """[bytes]"""
    sha256: str
    """64 hex digits"""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The whole folder."""

    slatecast: str
    """version of the program inside"""
    suite: str
    """release of Debian, by name"""
    debian: str
    """the same with its point release, by number"""
    kernel: str
    """version of the kernel"""
    built_at: int
    """[s] since 1970, from SOURCE_DATE_EPOCH, else of the newest file in its packages; not when somebody built it"""
    initrd_unpacked: int
    """[bytes] of memory that the initrd fills at a seat"""
    has_trust: bool
    """whether the broadcaster's public keys are inside"""
    files: dict[str, FileFacts]
    """by name"""
    packages: dict[str, str]
    """versions of Debian packages"""
    python_packages: dict[str, str]
    """versions of Python packages"""


def file_facts(folder: Path, names: Iterable[str]) -> dict[str, FileFacts]:
    """Sizes and digests of files in a folder."""
    facts = {}
    for name in names:
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        facts[name] = FileFacts((folder / name).stat().st_size, digest)
    return facts


def write_description(folder: Path, environment: Environment) -> None:
    """Write environment.json, the same bytes for the same contents."""
    encoded = msgspec.json.format(msgspec.json.encode(environment, order="deterministic"), indent=2)
    (folder / DESCRIPTION).write_bytes(encoded + b"\n")


def read_description(folder: Path) -> Environment:
    """What the folder holds, as written when it was built.

    Raises:
        ConfigError: it is no environment, or not a whole one.
    """
    try:
        with (folder / DESCRIPTION).open("rb") as file:
            encoded = file.read(MAX_DESCRIPTION_LENGTH)
        environment = msgspec.json.decode(encoded, type=Environment)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(f"{folder} is no environment: 'slatecast boot build' makes one") from None
    for name in FILES:
        facts = environment.files.get(name)
        if facts is None or not (folder / name).is_file() or (folder / name).stat().st_size != facts.size:
            raise ConfigError(f"{folder / name} is missing or not whole: 'slatecast boot build' makes it anew")
    return environment

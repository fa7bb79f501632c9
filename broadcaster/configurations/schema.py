"""The TOML of a configuration, typed: every key that can be written, and one line for what is wrong.

    LIBRARY/configurations/NAME.toml     the steps, and the variables of templates
    LIBRARY/configurations/NAME/         files that it names: templates, scripts, drivers, secrets

Nothing is rendered here. Every key stands in docs/operations.md.
"""

import re
from pathlib import Path
from typing import Annotated, Final

import msgspec

from protocol.configuration import (
    MAX_ARGUMENTS,
    MAX_SCRIPT_SECONDS,
    FirstBoot,
    OnError,
    PartitionNumber,
    Restart,
    System,
    TargetPath,
)
from protocol.errors import ConfigError
from protocol.fields import LongText, ShortText

MAX_FILE_LENGTH: Final = 1 << 20
"""[bytes] of the TOML; ours have 3,000."""

MAX_FILES: Final = 1000
MAX_SCRIPTS: Final = 32
"""Scripts of one configuration; with the other steps they stay below protocol.configuration.MAX_STEPS."""

MAX_DRIVER_FOLDERS: Final = 256

Mode = Annotated[str, msgspec.Meta(pattern=r"^[0-7]{3,4}\Z")]
SourcePath = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
VariableName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z")]
Value = str | int | float | bool
UserNumber = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFE)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Base of all tables of steps."""

    on_error: OnError = OnError.STOP


class GrowSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[grow]"""

    partition: PartitionNumber = 0


class IdentitiesSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[identities]"""


class HostnameSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[hostname]"""

    name: ShortText = "{{ hostname }}"
    """template"""


class MachineIdSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[machine-id]"""

    empty: bool = False
    """whether the system makes one itself"""


class SshHostKeysSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[ssh-host-keys]"""


class FileSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[[files]]"""

    path: LongText
    """on the disk; template"""
    template: SourcePath = ""
    source: SourcePath = ""
    """as it is; one of both"""
    system: System = System.LINUX
    mode: Mode = "0644"
    owner: UserNumber = 0
    group: UserNumber = 0


class DriversSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[[drivers]]"""

    vendor: ShortText = "*"
    product: ShortText = "*"
    source: SourcePath
    """folder"""
    system: System = System.WINDOWS
    folder: TargetPath = "Drivers"


class WindowsSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[windows]"""

    computer_name: ShortText = "{{ hostname | upper }}"
    """template"""
    unattend: SourcePath = ""
    """template; empty for ours"""
    path: TargetPath = "Windows/Panther/unattend.xml"


class ScriptSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[[scripts]]"""

    source: SourcePath = ""
    template: SourcePath = ""
    arguments: Annotated[tuple[LongText, ...], msgspec.Meta(max_length=MAX_ARGUMENTS)] = ()
    """templates"""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_SCRIPT_SECONDS)] = 120
    """seconds"""
    network: bool = False
    disks: bool = False


class BootSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[boot]"""

    label: ShortText = "slatecast {{ image }}"
    """template"""
    first: FirstBoot = FirstBoot.KEEP
    fallback: bool = True
    next_disk: bool = True


class BeaconSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """[beacon]"""

    system: System = System.LINUX


class ConfigurationFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The whole file. Its steps run in the order of these fields, whatever their order in the file."""

    restart: Restart = Restart.REBOOT
    variables: dict[VariableName, Value] = {}
    """of all seats; one whose name ends with ``_file`` is read from that file, under its name without the ending"""
    seats: dict[ShortText, dict[VariableName, Value]] = {}
    """of single seats, by their names: before those of all"""
    grow: GrowSection | None = None
    identities: IdentitiesSection | None = None
    hostname: HostnameSection | None = None
    machine_id: MachineIdSection | None = None
    ssh_host_keys: SshHostKeysSection | None = None
    files: Annotated[tuple[FileSection, ...], msgspec.Meta(max_length=MAX_FILES)] = ()
    drivers: Annotated[tuple[DriversSection, ...], msgspec.Meta(max_length=MAX_DRIVER_FOLDERS)] = ()
    windows: WindowsSection | None = None
    scripts: Annotated[tuple[ScriptSection, ...], msgspec.Meta(max_length=MAX_SCRIPTS)] = ()
    boot: BootSection | None = None
    beacon: BeaconSection | None = None


_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `\$\.?(?P<where>.*)`)?")
_WRONG: Final = re.compile(r"(?P<what>.*) - at `(?:key in )?\$\.?(?P<where>.*)`")


def read_configuration(path: Path) -> ConfigurationFile:
    """A configuration as it was written.

    Raises:
        ConfigError: it cannot be read, is no TOML, or has a key or value that there is not; with file and key.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_LENGTH + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_FILE_LENGTH:
        raise ConfigError(f"{path} is longer than {MAX_FILE_LENGTH} bytes, and so no configuration")
    try:
        found = msgspec.toml.decode(content, type=ConfigurationFile)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_in_words(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    ways = [(f"files {number}", each.template, each.source) for number, each in enumerate(found.files, 1)]
    ways += [(f"scripts {number}", each.template, each.source) for number, each in enumerate(found.scripts, 1)]
    for key, template, source in ways:
        if bool(template) is bool(source):
            raise ConfigError(f"{path}: {key} needs either a template or a source")
    return found


def _in_words(error: str) -> str:
    """Msgspec's complaint with the key as it is written in TOML."""
    unknown = _UNKNOWN.fullmatch(error)
    if unknown is not None:
        where = unknown["where"]
        return f"there is no key {unknown['key']!r}{f' in {where}' if where else ''}"
    wrong = _WRONG.fullmatch(error)
    if wrong is None:
        return error
    return f"{wrong['where']}: {wrong['what'][:1].lower()}{wrong['what'][1:]}"

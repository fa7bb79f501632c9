"""Makes the steps of one seat from the tables of a configuration, in their fixed order, and gathers their files.

    grow, identities, hostname, machine-id, ssh-host-keys, files, drivers, windows, scripts, boot, beacon

First what the disk is, then who it is, then what lies on it; scripts find all that in place, and boot entries come
after whatever a script may have done to the loader.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from blake3 import blake3

from broadcaster.configurations.schema import ConfigurationFile, DriversSection, FileSection, ScriptSection, Value
from broadcaster.configurations.templating import Templates
from protocol.configuration import (
    MAX_STEP_FILES,
    AnyStep,
    Beacon,
    BeaconStep,
    BootStep,
    ConfiguredFile,
    DriverSet,
    DriversStep,
    FilesStep,
    GrowStep,
    HostnameStep,
    IdentitiesStep,
    MachineIdStep,
    ScriptStep,
    SshHostKeysStep,
    System,
    WindowsStep,
)
from protocol.errors import ConfigError

OWN_TEMPLATES: Final = Path(__file__).with_name("templates")
"""Templates for who writes none."""

UNATTEND: Final = "unattend.xml"

_SEED_CONTEXT: Final = "slatecast 2026-11 identities of a configured seat"


@dataclass(frozen=True)
class SeatFacts:
    """What a configuration is told of one seat."""

    seat: str
    room: str
    machine: str
    image: str
    version: int
    tsi: str
    seed: bytes
    """random, of this seat in this session: what the same steps make of it twice is the same"""
    hostname: str = ""
    """as the room has it; empty takes the seat's name where that can be one"""
    beacon: Beacon | None = None


class StepMaker:
    """Makes the steps of one seat.

    Args:
        path: of the configuration, beside which its folder lies.
        file: what is written there.
        facts: about the seat.
        variables: for templates.
        digest_of: BLAKE3 of a file in hex; raises OSError.
    """

    def __init__(
        self,
        path: Path,
        file: ConfigurationFile,
        facts: SeatFacts,
        variables: Mapping[str, Value],
        digest_of: Callable[[Path], str],
    ) -> None:
        self.made: dict[str, bytes] = {}
        """files that templates made, by digest; may hold secrets"""
        self.sources: dict[str, Path] = {}
        """files that are taken as they are, by digest"""
        self._path = path
        self._folder = path.with_suffix("")
        self._file = file
        self._seed = facts.seed
        self._seat = facts.seat
        self._variables = variables
        self._templates = Templates(self._folder, variables, facts.seat)
        self._digest_of = digest_of

    def steps(self) -> Iterator[AnyStep]:
        """All of them.

        Raises:
            ConfigError: something is missing, unknown or out of bounds; one line with file and key.
        """
        yield from self._disk_steps()
        yield from self._identity_steps()
        for system in System:
            numbered = [(number, each) for number, each in enumerate(self._file.files, 1) if each.system is system]
            if numbered:
                yield FilesStep(system=system, files=tuple(self._configured(*each) for each in numbered))
        yield from self._drivers()
        if self._file.windows is not None:
            yield self._windows()
        for number, script in enumerate(self._file.scripts, 1):
            yield self._script(number, script)
        boot, beacon = self._file.boot, self._file.beacon
        if boot is not None:
            yield BootStep(
                label=self._text(boot.label, "boot.label"),
                first=boot.first,
                fallback=boot.fallback,
                next_disk=boot.next_disk,
                on_error=boot.on_error,
            )
        if beacon is not None:
            yield BeaconStep(system=beacon.system, on_error=beacon.on_error)

    def _disk_steps(self) -> Iterator[AnyStep]:
        grow, identities = self._file.grow, self._file.identities
        if grow is not None:
            yield GrowStep(partition=grow.partition, on_error=grow.on_error)
        if identities is not None:
            yield IdentitiesStep(seed=derived(self._seed, "disk"), on_error=identities.on_error)

    def _identity_steps(self) -> Iterator[AnyStep]:
        hostname, machine_id, keys = self._file.hostname, self._file.machine_id, self._file.ssh_host_keys
        if hostname is not None:
            yield HostnameStep(name=self._text(hostname.name, "hostname.name"), on_error=hostname.on_error)
        if machine_id is not None:
            given = "" if machine_id.empty else derived(self._seed, "machine-id")
            yield MachineIdStep(machine_id=given, on_error=machine_id.on_error)
        if keys is not None:
            yield SshHostKeysStep(label=f"slatecast-{derived(self._seed, 'ssh')[:16]}", on_error=keys.on_error)

    def _drivers(self) -> Iterator[AnyStep]:
        places = dict.fromkeys((each.system, each.folder) for each in self._file.drivers)
        for system, folder in places:
            sets = tuple(
                self._driver_set(number, each)
                for number, each in enumerate(self._file.drivers, 1)
                if (each.system, each.folder) == (system, folder)
            )
            yield DriversStep(system=system, folder=folder, sets=sets)

    def _driver_set(self, number: int, section: DriversSection) -> DriverSet:
        where = self._key(f"drivers {number}")
        folder = self._folder / section.source
        if not folder.is_dir():
            raise ConfigError(f"{where}: there is no folder {folder}")
        paths = sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names)
        if len(paths) > MAX_STEP_FILES:
            raise ConfigError(f"{where}: {folder} holds {len(paths)} files, more than {MAX_STEP_FILES}")
        files = tuple(self._source(where, path, path.relative_to(folder).as_posix()) for path in paths)
        return DriverSet(vendor=section.vendor, product=section.product, files=files)

    def _windows(self) -> WindowsStep:
        section = self._file.windows
        assert section is not None
        name = self._text(section.computer_name, "windows.computer-name")
        where = self._key("windows.unattend")
        if section.unattend:
            content = self._templates.file(section.unattend, where, computer_name=name)
        else:
            content = Templates(OWN_TEMPLATES, self._variables, self._seat).file(UNATTEND, where, computer_name=name)
        return WindowsStep(computer_name=name, unattend=self._made(content, section.path), on_error=section.on_error)

    def _script(self, number: int, section: ScriptSection) -> ScriptStep:
        key = f"scripts {number}"
        path = Path(section.template or section.source).name
        if section.template:
            file = self._made(self._templates.file(section.template, self._key(key)), path, _PROGRAM)
        else:
            file = self._source(self._key(key), self._folder / section.source, path, _PROGRAM)
        return ScriptStep(
            file=file,
            arguments=tuple(self._text(each, f"{key}, arguments") for each in section.arguments),
            limit_seconds=section.limit,
            has_network=section.network,
            has_disks=section.disks,
            on_error=section.on_error,
        )

    def _configured(self, number: int, section: FileSection) -> ConfiguredFile:
        key = f"files {number}"
        path = self._text(section.path, f"{key}, path").lstrip("/")
        attributes = _Attributes(int(section.mode, 8), section.owner, section.group)
        if section.template:
            return self._made(self._templates.file(section.template, self._key(key)), path, attributes)
        return self._source(self._key(key), self._folder / section.source, path, attributes)

    def _made(self, content: bytes, path: str, attributes: "_Attributes | None" = None) -> ConfiguredFile:
        digest = blake3(content).hexdigest()
        self.made[digest] = content
        return _file(path, digest, len(content), attributes)

    def _source(self, where: str, source: Path, path: str, attributes: "_Attributes | None" = None) -> ConfiguredFile:
        try:
            length = source.stat().st_size
            digest = self._digest_of(source)
        except OSError as error:
            raise ConfigError(f"{where}: {source} cannot be read: {error.strerror or error}") from error
        self.sources[digest] = source
        return _file(path, digest, length, attributes)

    def _text(self, template: str, key: str) -> str:
        return self._templates.text(template, self._key(key))

    def _key(self, key: str) -> str:
        return f"{self._path}: {key}"


class _Attributes(NamedTuple):
    """What a file on the disk has beside its contents."""

    mode: int = 0o644
    owner: int = 0
    group: int = 0


_PROGRAM: Final = _Attributes(0o755)


def _file(path: str, digest: str, length: int, attributes: _Attributes | None) -> ConfiguredFile:
    return ConfiguredFile(path=path, digest=digest, length=length, **(attributes or _Attributes())._asdict())


def derived(seed: bytes, what: str) -> str:
    """An identity that follows from a seat's seed, 32 hex digits."""
    return blake3(seed + what.encode(), derive_key_context=_SEED_CONTEXT).hexdigest()[:32]

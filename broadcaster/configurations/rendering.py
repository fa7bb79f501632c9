"""Makes of a configuration what one seat gets: its steps in their fixed order, and the files that they need.

Everything is checked here that can be: variables, templates, sources, modes, names. Whoever plans a session renders it
for each of its seats and throws the result away; whoever serves it renders it again, so that what is served is what
lies there now. Blocks on the disk.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from broadcaster.configurations.schema import ConfigurationFile, Value
from broadcaster.configurations.steps import SeatFacts, StepMaker
from protocol.configuration import SeatConfiguration
from protocol.errors import ConfigError

MAX_SECRET: Final = 64 * 1024
"""[bytes] of a file that a variable is read from."""

_HOSTNAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_FILE_ENDING: Final = "_file"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What one seat gets."""

    configuration: SeatConfiguration
    made: dict[str, bytes]
    """files that templates made, by digest; may hold secrets"""
    sources: dict[str, Path]
    """files that are served as they are, by digest"""

    def __repr__(self) -> str:
        """Without what may be secret."""
        return f"Rendered({len(self.configuration.steps)} steps, {len(self.made) + len(self.sources)} files)"


class Renderer:
    """One configuration; ``path`` is its file, beside which its folder lies.

    Args:
        digest_of: BLAKE3 of a file in hex, perhaps remembered.
    """

    def __init__(self, path: Path, file: ConfigurationFile, digest_of: Callable[[Path], str]) -> None:
        self._path = path
        self._folder = path.with_suffix("")
        self._file = file
        self._digest_of = digest_of

    def render(self, facts: SeatFacts) -> Rendered:
        """What this seat gets.

        Raises:
            ConfigError: something is missing, unknown or out of bounds; one line with file and key.
        """
        maker = StepMaker(self._path, self._file, facts, self._variables(facts), self._digest_of)
        try:
            configuration = SeatConfiguration(
                tsi=facts.tsi,
                seat=facts.seat,
                steps=tuple(maker.steps()),
                beacon=facts.beacon,
                restart=self._file.restart,
            )
            # The bounds of the message hold for what templates made, too.
            configuration = msgspec.convert(msgspec.to_builtins(configuration), SeatConfiguration)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{self._path}, for seat {facts.seat!r}: {error}") from error
        return Rendered(configuration, maker.made, maker.sources)

    def _variables(self, facts: SeatFacts) -> dict[str, Value]:
        given = {**self._file.variables, **self._file.seats.get(facts.seat, {})}
        own: dict[str, Value] = {
            "seat": facts.seat,
            "room": facts.room,
            "machine": facts.machine,
            "image": facts.image,
            "version": facts.version,
        }
        taken = sorted(own.keys() & given.keys())
        if taken:
            raise ConfigError(f"{self._path}: the variable {taken[0]!r} has its meaning already: choose another name")
        hostname = facts.hostname or _seat_name_as_hostname(facts.seat)
        if hostname:
            own["hostname"] = hostname
        for name, value in given.items():
            if name.endswith(_FILE_ENDING):
                own[name.removesuffix(_FILE_ENDING)] = self._secret(name, str(value))
            else:
                own[name] = value
        return own

    def _secret(self, name: str, path: str) -> str:
        """What a variable's file holds, without the end of its line."""
        source = self._folder / path  # an absolute path stays what it is
        try:
            with source.open("rb") as file:
                content = file.read(MAX_SECRET + 1)
            if len(content) > MAX_SECRET:
                raise ConfigError(f"{self._path}: {name}: {source} is longer than {MAX_SECRET} bytes")
            return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except OSError as error:
            raise ConfigError(f"{self._path}: {name}: {source} cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self._path}: {name}: {source} is not text") from error


def _seat_name_as_hostname(seat: str) -> str:
    """The name of a seat where it can be a hostname, else nothing."""
    return seat if _HOSTNAME.fullmatch(seat) else ""

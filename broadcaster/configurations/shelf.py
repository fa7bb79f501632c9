"""The configurations of a library: which there are, which one a session takes, and whether it can be rendered.

A session takes the one that its plan names; where it names none, the one that is called as its image, if there is one;
``none`` is no configuration whatever there is. Blocks on the disk.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Final

from blake3 import blake3

from broadcaster.configurations.rendering import Rendered, Renderer
from broadcaster.configurations.schema import read_configuration
from broadcaster.configurations.steps import SeatFacts
from broadcaster.host.hosting import Hosting
from protocol.configuration import Beacon
from protocol.errors import ConfigError

CONFIGURATIONS_FOLDER: Final = "configurations"
"""Name of the folder in the library."""

NONE: Final = "none"
"""What a plan names that wants no configuration, not even the image's."""

MAX_CONFIGURATIONS: Final = 256
"""that operators are told of; a room or an image has one"""

MAX_DIGESTS: Final = 65_536
"""[files] whose digests are remembered: all drivers of a site, twice"""

EXAMPLE_TSI: Final = "0" * 16

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]{0,62}")
_ENDING: Final = ".toml"


class ConfigurationShelf:
    """Those in ``folder``, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: dict[tuple[str, int, int, int], str] = {}
        self._lock = Lock()

    def names(self) -> tuple[str, ...]:
        """Of all that there are, the first MAX_CONFIGURATIONS."""
        paths = self._folder.glob(f"*{_ENDING}")
        return tuple(sorted(path.stem for path in paths if _NAME.fullmatch(path.stem)))[:MAX_CONFIGURATIONS]

    def resolve(self, named: str, image: str) -> str:
        """The configuration of a session; empty for none.

        Raises:
            ConfigError: it names one that there is not.
        """
        if named == NONE:
            return ""
        if named:
            if not _NAME.fullmatch(named) or not self._path(named).is_file():
                raise ConfigError(
                    f"there is no configuration {named!r} in {self._folder}: 'slatecast configuration list'"
                )
            return named
        return image if _NAME.fullmatch(image) and self._path(image).is_file() else ""

    def check(self, hosting: Hosting) -> str:
        """Render a session's configuration for each of its seats, and give its name, or NONE.

        Raises:
            ConfigError: it cannot be rendered for one of them.
        """
        name = self.resolve(hosting.configuration, hosting.image)
        if not name:
            return NONE
        renderer = self.renderer(self._path(name))
        example = Beacon(host="192.0.2.1", port=1, token="0" * 32)
        for planned in hosting.seats:
            renderer.render(
                SeatFacts(
                    seat=planned.seat,
                    room=hosting.room,
                    machine=planned.machine,
                    image=hosting.image,
                    version=hosting.version,
                    tsi=EXAMPLE_TSI,
                    seed=bytes(32),
                    hostname=planned.hostname,
                    beacon=example,
                )
            )
        return name

    def render(self, name: str, facts: SeatFacts) -> Rendered:
        """What a seat gets by the configuration of this name.

        Raises:
            ConfigError: it cannot be rendered.
        """
        return self.renderer(self._path(name)).render(facts)

    def renderer(self, path: Path) -> Renderer:
        """The configuration in a file.

        Raises:
            ConfigError: it cannot be read.
        """
        return Renderer(path, read_configuration(path), self._digest_of)

    def path_of(self, name: str) -> Path:
        """Where the configuration of a name lies.

        Raises:
            ConfigError: there is none.
        """
        return self._path(self.resolve(name, ""))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_ENDING}"

    def _digest_of(self, path: Path) -> str:
        """BLAKE3 of a file, remembered as long as it looks the same."""
        status = path.stat()
        key = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
        with self._lock:
            known = self._digests.get(key)
        if known is None:
            known = _hashed(path)
            with self._lock:
                if len(self._digests) >= MAX_DIGESTS:
                    self._digests.clear()
                self._digests[key] = known
        return known


def example_facts(image: str, seats: Iterable[str] = ("pc-01",)) -> list[SeatFacts]:
    """Facts about seats that need not exist, to try a configuration with."""
    return [
        SeatFacts(
            seat=seat,
            room="Room",
            machine="52:54:00:00:00:01",
            image=image,
            version=1,
            tsi=EXAMPLE_TSI,
            seed=bytes(32),
            beacon=Beacon(host="192.0.2.1", port=1, token="0" * 32),
        )
        for seat in seats
    ]


def _hashed(path: Path) -> str:
    hasher = blake3()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            hasher.update(part)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return hasher.hexdigest()

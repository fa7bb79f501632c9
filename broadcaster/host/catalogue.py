"""What is in the library, for operators: every version of every image, read again only where a file has changed.

Reads the disk, so it blocks; used by one thread at a time.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from broadcaster.library.library import Library
from broadcaster.library.signing import signature_or_none
from protocol.disk_fit import least_size
from protocol.errors import LibraryError
from protocol.firmware import image_firmware
from protocol.manifest import Manifest
from protocol.operators import ImageNews
from protocol.trust import Trust

_Key = tuple[str, int, int, int]
"""name, version, and when manifest and signature were last changed, ns"""


class Catalogue:
    """The images of one library, signed or not by a key that ``trust`` knows."""

    def __init__(self, library: Library, trust: Trust) -> None:
        self._library = library
        self._trust = trust
        self._known: dict[_Key, ImageNews] = {}

    def read(self) -> tuple[list[ImageNews], list[str]]:
        """All images, none of them in use, and what is wrong with those that cannot be read.

        Raises:
            LibraryError: the library itself cannot be read.
        """
        known, self._known = self._known, {}
        images, faults = [], []
        for name in self._library.names():
            for version in self._library.versions(name):
                key = name, version, *self._changed(name, version)
                try:
                    image = known.get(key) or self._read(name, version)
                except LibraryError as error:
                    faults.append(str(error))
                    continue
                self._known[key] = image
                images.append(image)
        return images, faults

    def _changed(self, name: str, version: int) -> tuple[int, int]:
        return _time_of(self._library.manifest_path(name, version)), _time_of(
            self._library.signature_path(name, version)
        )

    def _read(self, name: str, version: int) -> ImageNews:
        header = self._library.header(name, version)
        # A manifest's digest, which is what is signed, covers its header alone; the rows can stay where they are.
        signature = signature_or_none(self._library, Manifest(header, b""))
        return ImageNews(
            name=header.name,
            version=header.version,
            created=header.created,
            disk_size=header.disk_size,
            stored_bytes=header.stored_bytes,
            is_signed=signature is not None and signature.key in self._trust.image_keys,
            sessions=(),
            firmware=image_firmware(header),
            least_size=least_size(header),
        )


def in_use(images: list[ImageNews], sessions: dict[tuple[str, int], tuple[str, ...]]) -> list[ImageNews]:
    """The images with the sessions that use them now, by name and version."""
    return [
        msgspec.structs.replace(image, sessions=sessions.get((image.name, image.version), ())[:16]) for image in images
    ]


def _time_of(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0

"""The image library: a folder with a chunk store and one manifest file per image version.

    slatecast-library.json           what this folder is, and its format number
    write.lock                       flock: one command at a time changes the library
    images/NAME/VERSION.manifest     canonical bytes of the manifest; flock shared while the image is being read
    images/NAME/VERSION.signature    who vouches for it, see ``broadcaster.library.image_signature``; may be missing
    chunks/, incoming/               see ``broadcaster.library.store``

It refuses a folder that is not a library and a format that it does not know. Invariant: a manifest file is complete
and all its chunks are in the store, because it is renamed into place last and removed first; a signature without its
manifest means nothing. Reading needs no lock to
be correct; ``in_use`` only stops ``remove`` from taking an image away from under a running cast.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from broadcaster.library.image_signature import (
    MAX_SIGNATURE_FILE,
    ImageSignature,
    decode_signature,
    encode_signature,
)
from broadcaster.library.store import ChunkStore, library_errors
from protocol.errors import ConfigError, IntegrityError, LibraryError, ManifestError
from protocol.link.whole_file import sync_folder
from protocol.manifest import (
    IMAGE_NAME,
    Manifest,
    ManifestHeader,
    StoredChunk,
    decode_manifest,
    decode_manifest_header,
    manifest_header_end,
)

FORMAT: Final = 1
"""Version of the folder layout; a library of another format is refused, never converted in passing."""

_MARKER: Final = "slatecast-library.json"
_MANIFEST_SUFFIX: Final = ".manifest"
_SIGNATURE_SUFFIX: Final = ".signature"
_MANIFEST_PART: Final = 64 * 1024
"""[bytes] A manifest is read and written in parts of this size; the first holds the header of nearly every one."""


class Library:
    """An open library; cheap to make, holds no file open."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = ChunkStore(root)
        self._images = root / "images"
        self._lock_path = root / "write.lock"

    @classmethod
    def open(cls, root: Path) -> "Library":
        """The library at ``root``.

        Raises:
            LibraryError: nothing there, not a library, or one of another format.
        """
        with library_errors(root):
            try:
                marker = msgspec.json.decode((root / _MARKER).read_bytes(), type=dict[str, object])
            except FileNotFoundError as error:
                if _may_become_library(root):
                    raise LibraryError(f"no library at {root}: 'slatecast image add' makes one") from error
                raise LibraryError(f"{root} is not a slatecast library: it has no {_MARKER}") from error
            except NotADirectoryError as error:
                raise LibraryError(f"{root} is not a slatecast library: it is no folder") from error
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise LibraryError(f"{root} is not a slatecast library: {_MARKER} is not readable") from error
        if marker.get("format") != FORMAT:
            raise LibraryError(f"{root} is a library of format {marker.get('format')}; this slatecast reads {FORMAT}")
        return cls(root)

    @classmethod
    def open_or_create(cls, root: Path) -> "Library":
        """The library at ``root``, made if there is nothing or only an empty folder.

        Raises:
            LibraryError: something else is there, or the folder cannot be written.
        """
        with library_errors(root):
            if _may_become_library(root):
                library = cls(root)
                for folder in (library._images, library.store.chunks, library.store.incoming):
                    folder.mkdir(parents=True, exist_ok=True)
                for first_byte in range(256):  # now, so that a full disk later meets no missing folder
                    (library.store.chunks / f"{first_byte:02x}").mkdir(exist_ok=True)
                temporary = library.store.incoming / _MARKER
                write_durably(temporary, [json.dumps({"format": FORMAT}).encode(), b"\n"])
                temporary.rename(root / _MARKER)
        return cls.open(root)

    def images(self) -> list[ManifestHeader]:
        """The header of the newest version of every image, by name.

        Raises:
            LibraryError: a manifest is damaged or cannot be read.
        """
        with library_errors(self.root):
            return [self.header(name, self.versions(name)[-1]) for name in self.names()]

    def names(self) -> list[str]:
        """The names of all images, sorted."""
        with library_errors(self.root):
            names = sorted(path.name for path in self._images.iterdir() if IMAGE_NAME.fullmatch(path.name))
            return [name for name in names if self.versions(name)]

    def versions(self, name: str) -> list[int]:
        """The versions of an image that are here, ascending; empty if there is no such image."""
        folder = self._images / _checked_name(name)
        with library_errors(self.root):
            if not folder.is_dir():
                return []
            return sorted(
                int(path.stem)
                for path in folder.iterdir()
                if path.suffix == _MANIFEST_SUFFIX and path.stem.isascii() and path.stem.isdecimal()
            )

    def need_version(self, name: str, version: int | None = None) -> int:
        """The version itself, or the newest without one.

        Raises:
            ConfigError: no name that an image can have.
            LibraryError: no such image or version.
        """
        versions = self.versions(name)
        if not versions:
            raise LibraryError(f"no image {name!r} in library {self.root}: 'slatecast image list' shows what is there")
        if version is None:
            return versions[-1]
        if version not in versions:
            raise LibraryError(f"image {name} has no version {version}, only {', '.join(map(str, versions))}")
        return version

    def load(self, name: str, version: int | None = None) -> Manifest:
        """The manifest of an image; without ``version`` the newest.

        Raises:
            ConfigError: no name that an image can have.
            LibraryError: no such image or version, or its manifest is damaged.
        """
        version = self.need_version(name, version)
        with library_errors(self.root):
            encoded = self.manifest_path(name, version).read_bytes()
        try:
            manifest = decode_manifest(encoded)
        except ManifestError as error:
            raise LibraryError(f"manifest of {name}, version {version}, is damaged: {error}") from error
        if (manifest.header.name, manifest.header.version) != (name, version):
            raise LibraryError(f"manifest of {name}, version {version}, is that of {describe(manifest.header)}")
        return manifest

    def header(self, name: str, version: int) -> ManifestHeader:
        """The header of a version's manifest, which is all of it but the chunks.

        Raises:
            LibraryError: it is damaged, or cannot be read.
        """
        with library_errors(self.root):
            try:
                with self.manifest_path(name, version).open("rb") as file:
                    first = file.read(_MANIFEST_PART)
                    return decode_manifest_header(first + file.read(max(0, manifest_header_end(first) - len(first))))
            except ManifestError as error:
                raise LibraryError(f"manifest of {name}, version {version}, is damaged: {error}") from error

    def read_stored(self, manifest: Manifest, sbn: int) -> bytes:
        """The stored bytes of one source block, checked against its stored digest. Blocks: call it from a thread.

        Raises:
            IntegrityError: the chunk is missing or damaged; the text names image, chunk and offset.
        """
        chunk = manifest[sbn]
        with library_errors(self.root):
            stored = self.store.read(chunk.raw_digest)
        if stored is None:
            raise IntegrityError(f"{locate(manifest, chunk)} is missing", chunk.stored_digest, b"")
        actual = manifest.stored_digest.of(chunk.offset, chunk.raw_length, stored)
        if actual != chunk.stored_digest or len(stored) != chunk.stored_length:
            raise IntegrityError(f"{locate(manifest, chunk)} is damaged", chunk.stored_digest, actual)
        return stored

    def manifest_path(self, name: str, version: int) -> Path:
        """Where the manifest of this version is, or would be."""
        return self._images / _checked_name(name) / f"{version}{_MANIFEST_SUFFIX}"

    def signature_path(self, name: str, version: int) -> Path:
        """Where the signature of this version is, or would be."""
        return self._images / _checked_name(name) / f"{version}{_SIGNATURE_SUFFIX}"

    def signature(self, manifest: Manifest) -> ImageSignature | None:
        """Who vouches for an image, checked against its manifest; None if nobody does.

        Whether that key is to be trusted is for the caller to say.

        Raises:
            LibraryError: the signature is damaged, or that of another image.
        """
        with library_errors(self.root):
            try:
                with self.signature_path(manifest.header.name, manifest.header.version).open("rb") as file:
                    encoded = file.read(MAX_SIGNATURE_FILE + 1)
            except FileNotFoundError:
                return None
        try:
            return decode_signature(encoded, manifest.digest)
        except LibraryError as error:
            raise LibraryError(
                f"signature of {describe(manifest.header)} {error}: 'slatecast image sign {manifest.header.name}' "
                "makes another one"
            ) from None

    @contextmanager
    def in_use(self, manifest: Manifest) -> Iterator[None]:
        """While this runs, ``remove`` refuses to take the image away, from any process.

        Raises:
            LibraryError: the image has been removed meanwhile.
        """
        path = self.manifest_path(manifest.header.name, manifest.header.version)
        with library_errors(self.root):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise LibraryError(f"{describe(manifest.header)} has just been removed") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def writing(self, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be the one process that changes the library; ``on_wait`` is called once if another one is at it.

        The lock dies with the process, so a crash never leaves it behind.
        """
        with library_errors(self.root):
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with library_errors(self.root):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    on_wait()
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def publish(self, manifest: Manifest, signature: ImageSignature | None) -> None:
        """Put a manifest in its place, durably; its chunks must be in the store. Needs ``writing``.

        The signature comes first, so that no crash leaves an image unsigned that was to be signed.
        """
        header = manifest.header
        final = self.manifest_path(header.name, header.version)
        temporary = self.store.incoming / final.name
        offsets = range(0, manifest.encoded_length, _MANIFEST_PART)
        write_durably(temporary, (manifest.read(offset, _MANIFEST_PART) for offset in offsets))
        final.parent.mkdir(exist_ok=True)
        signed = self.signature_path(header.name, header.version)
        try:
            signed.unlink(missing_ok=True)  # a crash may have left that of a manifest which never came
            if signature is not None:
                self.put_signature(header, signature)
            temporary.rename(final)
            sync_folder(final.parent)
        finally:
            if not final.exists():
                signed.unlink(missing_ok=True)
            remove_if_empty(final.parent)
        sync_folder(self._images)

    def put_signature(self, header: ManifestHeader, signature: ImageSignature) -> None:
        """Put the signature of an image in its place, durably, for the one that is there. Needs ``writing``."""
        final = self.signature_path(header.name, header.version)
        temporary = self.store.incoming / final.name
        write_durably(temporary, [encode_signature(signature)])
        temporary.rename(final)
        sync_folder(final.parent)


def parse_reference(reference: str) -> tuple[str, int | None]:
    """An image as operators write it, ``NAME`` or ``NAME@VERSION``.

    Raises:
        ConfigError: neither form.
    """
    name, at, version = reference.partition("@")
    if at and not (version.isascii() and version.isdecimal() and len(version) <= 9):
        raise ConfigError(f"{reference!r}: after the @ comes a version number, for example {name}@2")
    return _checked_name(name), int(version) if at else None


def describe(header: ManifestHeader) -> str:
    """An image and its version in words."""
    return f"image {header.name}, version {header.version}"


def locate(manifest: Manifest, chunk: StoredChunk) -> str:
    """A chunk in words: which image, which chunk, where on the disk."""
    return f"{describe(manifest.header)}: chunk {chunk.chunk_id} at byte {chunk.offset}"


def write_durably(path: Path, contents: Iterable[bytes]) -> None:
    """Write a new file and wait until it is on the medium."""
    with path.open("wb") as file:
        file.writelines(contents)
        file.flush()
        os.fsync(file.fileno())


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something is in it."""
    with suppress(OSError):
        folder.rmdir()


def _checked_name(name: str) -> str:
    if not IMAGE_NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be an image's name: letters, digits, '.', '_' and '-', at most 64")
    return name


def _may_become_library(root: Path) -> bool:
    """True for nothing at all, an empty folder, a fresh file system, and what an interrupted creation left."""
    if not root.exists():
        return True
    return root.is_dir() and {path.name for path in root.iterdir()} <= {"images", "chunks", "incoming", "lost+found"}

"""Bytes of a library that turn while nobody looks."""

from pathlib import Path

from broadcaster.library.library import Library
from protocol.manifest import Manifest


def chunk_file(library: Path, manifest: Manifest, sbn: int) -> Path:
    """The file that holds a chunk of an image."""
    digest = manifest[sbn].raw_digest.hex()
    return library / "chunks" / digest[:2] / digest[2:]


def load(library: Path, name: str) -> Manifest:
    """The manifest of an image of the library."""
    return Library.open(library).load(name)


def overwrite(chunk: Path) -> None:
    """Turn a few bytes in the middle, in place, as a bad disk does."""
    with chunk.open("r+b") as file:
        file.seek(chunk.stat().st_size // 2)
        turned = bytes(byte ^ 0xFF for byte in file.read(16))
        file.seek(-len(turned), 1)
        file.write(turned)

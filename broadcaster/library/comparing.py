"""What changed between two versions of an image, by what their manifests say of every chunk; reads no chunk. Pure."""

from dataclasses import dataclass

from protocol.errors import LibraryError
from protocol.manifest import Manifest
from protocol.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the newer version asks of a disk that holds the older one."""

    changed_bytes: int
    """of the disk"""
    stored_bytes: int
    """of the stored chunks that hold them; what has become zero has none"""
    ranges: tuple[tuple[int, int], ...]
    """(offset, length) of what changed, in bytes of the disk, ascending; those that touch are one"""


def compare_manifests(old: Manifest, new: Manifest) -> Comparison:
    """Compare chunk by chunk; what the newer version leaves free has not changed, whatever it was.

    Raises:
        LibraryError: they are cut into chunks of different sizes.
    """
    size = new.header.chunk_size
    if old.header.chunk_size != size:
        raise LibraryError(f"the versions are cut into chunks of {old.header.chunk_size} and {size} bytes")
    before = {chunk.chunk_id: chunk.raw_digest for chunk in old}
    changed, stored_bytes = [], 0
    for chunk in new:
        if before.get(chunk.chunk_id) != chunk.raw_digest:
            changed.append((chunk.chunk_id, chunk.chunk_id + 1))
            stored_bytes += chunk.stored_length
    for first, count in new.header.zero_ranges:
        changed += [(chunk_id, chunk_id + 1) for chunk_id in range(first, first + count) if chunk_id in before]
    ranges = [
        (start * size, min(stop * size, new.header.disk_size) - start * size)
        for start, stop in RangeSet(changed).ranges()
    ]
    return Comparison(sum(length for _, length in ranges), stored_bytes, tuple(ranges))

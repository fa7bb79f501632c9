"""Which bytes of the target decide whether it boots, and what they hold until the image is complete.

    0          head       tail_start      disk_size         size-1M      size
    |-- head --|-- body --|---- tail -----|   not touched   |-- beyond --|

head: the first MiB, where partition table and boot code lie. tail: the image's last MiB, where its backup GPT lies.
beyond: the last MiB of a larger target, where the old backup GPT lies. While the disk is incomplete all three are zeros
but for the marker in sector 0: text for people, no 0x55AA signature, and an empty partition table by any reading.
Only the body is written while chunks arrive. Pure arithmetic; areas that overlap on a small disk are cut, head first.
"""

from typing import Final, NamedTuple

from protocol.manifest import Manifest, ManifestHeader

EDGE_LENGTH: Final = 1 << 20
"""[bytes] Holds a GPT (34 sectors, UEFI 5.3.1) of 4 KiB sectors, and boot code before a first partition at 1 MiB."""

MARKER_LENGTH: Final = 512
"""[bytes] The smallest sector: replacing it is atomic on every disk, so it alone tells incomplete from complete."""

_MARKER_TEXT_LENGTH: Final = 440
"""[bytes] The boot code of a DOS table; what follows (disk signature, partitions, 0x55AA) stays zero."""

ZERO_PIECE_LENGTH: Final = 64 << 20
"""[bytes] Chosen: under a second on a slow disk, so that a stop is obeyed soon and progress moves."""


class Extent(NamedTuple):
    """Some bytes of the disk in one run."""

    offset: int
    """bytes"""
    length: int
    """bytes; 0 where the disk has no such area"""

    @property
    def end(self) -> int:
        """First byte after it."""
        return self.offset + self.length


class DiskLayout:
    """The areas of one image on a target of ``device_size`` bytes, which holds the whole image."""

    def __init__(self, header: ManifestHeader, device_size: int) -> None:
        head_end = min(EDGE_LENGTH, device_size)
        tail_start = max(0, header.disk_size - EDGE_LENGTH) // header.chunk_size * header.chunk_size
        self.head: Final = Extent(0, head_end)
        self.tail: Final = _between(max(head_end, tail_start), header.disk_size)
        self.beyond: Final = _between(max(head_end, header.disk_size, device_size - EDGE_LENGTH), device_size)
        self.zero_pieces: Final = self._cut_zero_pieces(header)

    def deferred_area(self, offset: int) -> Extent | None:
        """The edge that keeps the chunk at ``offset`` back until commit; None where it is written at once."""
        if offset < self.head.end:
            return self.head
        return self.tail if offset >= self.tail.offset else None

    def _cut_zero_pieces(self, header: ManifestHeader) -> tuple[Extent, ...]:
        """The zero ranges without head and tail, which are zeros where no chunk is put."""
        pieces = []
        for first, count in header.zero_ranges:
            start = max(first * header.chunk_size, self.head.end)
            end = min((first + count) * header.chunk_size, self.tail.offset)
            pieces += [_between(at, min(at + ZERO_PIECE_LENGTH, end)) for at in range(start, end, ZERO_PIECE_LENGTH)]
        return tuple(pieces)


def incomplete_marker(manifest: Manifest) -> bytes:
    """Sector 0 of a disk that is not complete, as ``head -c 440 /dev/sda`` shows it."""
    header = manifest.header
    # The name comes last and is cut, so that digest and id are always whole.
    text = (
        "slatecast: INCOMPLETE DISK, not bootable. Cast the image again to finish it.\n"
        f"manifest {manifest.digest.hex()}\nimage {header.image_id} version {header.version}\nname {header.name}"
    )
    return text.encode(errors="replace")[: _MARKER_TEXT_LENGTH - 1].ljust(MARKER_LENGTH, b"\0")


def _between(start: int, end: int) -> Extent:
    return Extent(start, max(0, end - start))

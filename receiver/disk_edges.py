"""The edges of the disk, which decide whether it boots: blank until the image is complete, sector 0 last of all.

``DiskEdges`` keeps the chunks of head and tail (see ``disk_layout``) in memory, at most 2.25 MiB. Sector 0 holds the
marker from the first write of a cast to its last one, and that last one changes a single sector, which is atomic on
any disk: after a power cut at any moment the disk has the marker, or everything. All that is written here is synced
and read back before the call returns.
"""

from typing import Final

from protocol.digests import Buffer, raw_digest
from protocol.errors import IntegrityError
from protocol.manifest import Manifest
from receiver.blockdevice import BlockDevice, new_read_buffer
from receiver.disk_layout import MARKER_LENGTH, DiskLayout, Extent, incomplete_marker

COMMIT_LENGTH: Final = 4096
"""[bytes] The last write: a whole sector of any disk. Bytes after MARKER_LENGTH are there already and do not change."""

_Contents = dict[Extent, Buffer]
"""What head, tail and beyond shall hold."""


class DiskEdges:
    """Head, tail and beyond of one disk; parts of them that no chunk covers are zeros."""

    def __init__(self, device: BlockDevice, manifest: Manifest, layout: DiskLayout) -> None:
        self._device = device
        self._layout = layout
        self._marker = incomplete_marker(manifest)
        areas = (layout.head, layout.tail, layout.beyond)
        self._final = {area: bytearray(area.length) for area in areas if area.length}
        self._buffer = new_read_buffer(max(area.length for area in areas))

    def hold(self, offset: int, raw: Buffer) -> bool:
        """Keep a chunk for ``commit``; False if it lies in the body and is to be written at once."""
        area = self._layout.deferred_area(offset)
        if area is None:
            return False
        start = offset - area.offset
        self._final[area][start : start + len(raw)] = raw
        return True

    def blank(self) -> None:
        """Put the marker into sector 0 and zeros everywhere else, so that no old table revives."""
        blank = self._marked({area: bytes(area.length) for area in self._final})
        self._write(blank)
        self._verify(blank)

    def commit(self) -> None:
        """Write everything but sector 0, prove it, and only then replace the marker."""
        staged = self._marked(self._final)
        self._write(staged)
        self._verify(staged)
        self._device.write_at(0, memoryview(self._final[self._layout.head])[:COMMIT_LENGTH])
        self._device.sync()
        self._verify(self._final)

    def _marked(self, contents: "dict[Extent, bytearray] | dict[Extent, bytes]") -> _Contents:
        head = self._layout.head
        return {**contents, head: self._marker + contents[head][MARKER_LENGTH:]}

    def _write(self, contents: _Contents) -> None:
        for area, content in contents.items():
            self._device.write_at(area.offset, content)
        self._device.sync()

    def _verify(self, contents: "_Contents | dict[Extent, bytearray]") -> None:
        for area, content in contents.items():
            expected = raw_digest(content)
            actual = raw_digest(self._device.read_uncached(*area, self._buffer))
            if actual != expected:
                what = f"{self._device.name} does not keep what is written at byte {area.offset}"
                raise IntegrityError(what, expected, actual)
